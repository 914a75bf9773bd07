"""Histories of workflows: replayed by the code of today, and looked through."""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

Document = dict[str, Any]


async def replay(document: Document, workflow: type) -> None:
    """Run a workflow along a history, under the id that it had.

    Raises:
        NondeterminismError: it leads elsewhere.
    """
    replayer = Replayer(workflows=[workflow], data_converter=pydantic_data_converter)
    id_ = document["events"][0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    await replayer.replay_workflow(WorkflowHistory.from_json(id_, document))


def patches_in(document: Document) -> Iterator[str]:
    """Ids of the patches that a history went through."""
    for event in document["events"]:
        marker = event.get("markerRecordedEventAttributes", {})
        if marker.get("markerName") == "core_patch":
            for payload in marker["details"]["patch-data"]["payloads"]:
                yield json.loads(b64decode(payload["data"]))["id"]
