"""Runs of schedules wait for hosts and sessions through upgrades: the workflows of today must lead to the same."""

import json
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.replay.record_scheduled import HISTORIES, PATHS, WORKFLOWS
from tests.support.histories import Document, replay

FILES = sorted(HISTORIES.glob("*.json"))
ELSEWHERE = {
    "launched": ("startChildWorkflowExecutionInitiatedEventAttributes", "workflowId", "session-of-another"),
    "launch_refused": ("activityTaskScheduledEventAttributes", "activityType", {"name": "other"}),
    "quotas_reset": ("activityTaskScheduledEventAttributes", "activityType", {"name": "other"}),
    "exported": ("activityTaskScheduledEventAttributes", "activityType", {"name": "other"}),
    "kept_up": ("activityTaskScheduledEventAttributes", "activityType", {"name": "other"}),
}
"""What was recorded as if the workflow had done something else."""


def read(file: Path) -> Document:
    document: Document = json.loads(file.read_text())
    return document


def workflow_of(document: Document) -> type:
    return WORKFLOWS[document["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_the_workflow_leads_to_the_same(file: Path) -> None:
    document = read(file)
    await replay(document, workflow_of(document))


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_a_workflow_that_leads_elsewhere_is_found_out(name: str) -> None:
    document = read(HISTORIES / f"{name}.json")
    kind, key, value = ELSEWHERE[name]
    (event,) = (event[kind] for event in document["events"] if kind in event)
    event[key] = value
    with pytest.raises(NondeterminismError):
        await replay(document, workflow_of(document))


def test_every_path_is_recorded() -> None:
    assert {file.stem for file in FILES} == {path.__name__ for path in PATHS}


def test_every_workflow_has_one_that_is_found_out() -> None:
    assert {workflow_of(read(HISTORIES / f"{name}.json")) for name in ELSEWHERE} == set(WORKFLOWS.values())
