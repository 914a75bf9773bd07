"""Sessions live for months: whatever one has done until now, the workflow of today must lead to the same."""

import json
from base64 import b64encode
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.replay.record import HISTORIES, PATHS
from tests.support.histories import Document, patches_in, replay
from tests.support.next_version.workflow import NextSessionWorkflow, RecklessSessionWorkflow
from workflows import patches
from workflows.session import SessionWorkflow

FILES = sorted(HISTORIES.glob("*.json"))


def read(file: Path) -> Document:
    document: Document = json.loads(file.read_text())
    return document


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_the_workflow_leads_to_the_same(file: Path) -> None:
    await replay(read(file), SessionWorkflow)


async def test_a_workflow_that_leads_elsewhere_is_found_out() -> None:
    document = read(HISTORIES / "completed-1.json")
    (scheduled,) = (
        event["activityTaskScheduledEventAttributes"]
        for event in document["events"]
        if event.get("activityTaskScheduledEventAttributes", {}).get("activityType") == {"name": "launch"}
    )
    scheduled["activityType"]["name"] = "stop"
    with pytest.raises(NondeterminismError):
        await replay(document, SessionWorkflow)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_a_step_more_behind_a_patch_leads_open_sessions_to_the_same(file: Path) -> None:
    await replay(read(file), NextSessionWorkflow)


@pytest.mark.parametrize("name", ["crashed_and_parked-1", "paused_and_queued-1", "typed_and_refused-1"])
async def test_a_step_more_without_a_patch_is_found_out(name: str) -> None:
    with pytest.raises(NondeterminismError):
        await replay(read(HISTORIES / f"{name}.json"), RecklessSessionWorkflow)


def test_every_path_is_recorded() -> None:
    assert {file.stem.rpartition("-")[0] for file in FILES} == {path.__name__ for path in PATHS}


def test_every_patch_is_covered() -> None:
    assert {patch for file in FILES for patch in patches_in(read(file))} == set(patches.ALL)


def test_patches_are_found_in_a_history() -> None:
    data = b64encode(json.dumps({"id": "a-patch", "deprecated": False}).encode()).decode()
    marker = {"markerName": "core_patch", "details": {"patch-data": {"payloads": [{"data": data}]}}}
    document = {"events": [{"eventId": "1"}, {"eventId": "2", "markerRecordedEventAttributes": marker}]}
    assert list(patches_in(document)) == ["a-patch"]
