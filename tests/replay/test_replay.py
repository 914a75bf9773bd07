"""Sessions live for months: whatever one has done until now, the workflow of today must lead to the same."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.replay.record import HISTORIES, PATHS
from workflows import patches
from workflows.session import SessionWorkflow

FILES = sorted(HISTORIES.glob("*.json"))
Document = dict[str, Any]


def read(file: Path) -> Document:
    document: Document = json.loads(file.read_text())
    return document


async def replay(document: Document) -> None:
    replayer = Replayer(workflows=[SessionWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json("session-replayed", document))


def patches_in(document: Document) -> Iterator[str]:
    """Ids of the patches that a history went through."""
    for event in document["events"]:
        marker = event.get("markerRecordedEventAttributes", {})
        if marker.get("markerName") == "core_patch":
            for payload in marker["details"]["patch-data"]["payloads"]:
                yield json.loads(b64decode(payload["data"]))["id"]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_the_workflow_leads_to_the_same(file: Path) -> None:
    await replay(read(file))


async def test_a_workflow_that_leads_elsewhere_is_found_out() -> None:
    document = read(HISTORIES / "completed-1.json")
    (scheduled,) = (
        event["activityTaskScheduledEventAttributes"]
        for event in document["events"]
        if event.get("activityTaskScheduledEventAttributes", {}).get("activityType") == {"name": "launch"}
    )
    scheduled["activityType"]["name"] = "stop"
    with pytest.raises(NondeterminismError):
        await replay(document)


def test_every_path_is_recorded() -> None:
    assert {file.stem.rpartition("-")[0] for file in FILES} == {path.__name__ for path in PATHS}


def test_every_patch_is_covered() -> None:
    assert {patch for file in FILES for patch in patches_in(read(file))} == set(patches.ALL)


def test_patches_are_found_in_a_history() -> None:
    data = b64encode(json.dumps({"id": "a-patch", "deprecated": False}).encode()).decode()
    marker = {"markerName": "core_patch", "details": {"patch-data": {"payloads": [{"data": data}]}}}
    document = {"events": [{"eventId": "1"}, {"eventId": "2", "markerRecordedEventAttributes": marker}]}
    assert list(patches_in(document)) == ["a-patch"]
