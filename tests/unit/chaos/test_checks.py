"""Each check of a chaos run is given a record that keeps its promise, and doctored ones that do not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.harness import checks
from tests.chaos.harness.record import Agent, Answered, Event, Harm, Prompt, Record, Row, Sample, Session

USAGE = {"input": 1, "output": 2, "cache_creation": 3, "cache_read": 4}
ROWS = {
    "a": Row("running", 1, "light", 1, True, 100),
    "b": Row("running", 1, "notes", 2, True, 200),
    "c": Row("queued", 0, "notes", 3, False),
    "d": Row("paused", 1, "notes"),
}
AGENTS: dict[str, Agent] = {"a.1": (100, 7), "b.1": (200, 7)}


def healthy() -> Record:
    """Two sessions that run, one that waits, one that is put away."""
    sessions = {
        "a": Session("a", "light", "light", prompts=[Prompt("Hello", taken=True), Prompt("Last", taken=True)]),
        "b": Session("b", "notes", "notes", prompts=[Prompt("Note", taken=True)]),
        "c": Session("c", "notes", "notes"),
        "d": Session("d", "notes", "notes", meant="paused"),
    }
    return Record(
        sessions=sessions,
        limits={"": 3, "notes": 1},
        samples=[Sample(float(at), AGENTS, (), ROWS) for at in range(100, 104)],
        replies=[
            Answered("a", "msg_1", "First.", USAGE, True, 50.0),
            Answered("a", "msg_2", "Second.", USAGE, True, 60.0),
        ],
        transcripts={"msg_1": USAGE, "msg_2": USAGE},
        ledger={"msg_1": USAGE, "msg_2": USAGE},
        last_requests={"a": ["Hello", "First.", "Last"]},
        notes={"b": ["Note"]},
        committed=[Event("e1", "a", 1), Event("e2", "a", 2), Event("e3", None, 0)],
        received=[Event("e1", "a", 1), Event("e3", None, 0), Event("e2", "a", 2), Event("e1", "a", 1)],
    )


def look(record: Record, **changed: Any) -> None:
    """One look more, which saw something else."""
    record.samples.append(replace(record.last, at=record.last.at + 1, **changed))


def rows(record: Record, **changed: Row | None) -> None:
    """One look more, with other rows."""
    now = {key: row for key, row in {**ROWS, **changed}.items() if row is not None}
    look(record, rows=now)


def test_what_a_lost_host_had_not_told_is_no_fault() -> None:
    record = healthy()
    record.last_requests.update(a=["Last"])
    assert checks.check(record)[WHOLE]
    record.fenced = frozenset({"a.1"})
    assert not checks.check(record)[WHOLE]


def test_who_fails_over_may_be_fenced_without_a_fault_and_nobody_else() -> None:
    record = healthy()
    look(record, agents={"a.1": (100, 7)})
    record.fenced = frozenset({"b.1"})
    assert checks.check(record)[UNHARMED]
    record.sessions["b"].failover = True
    assert not checks.check(record)[UNHARMED]
    record.fenced = frozenset()
    assert checks.check(record)[UNHARMED]


def test_a_healthy_run_breaks_no_promise() -> None:
    assert checks.check(healthy()) == {promise: [] for promise in checks.CHECKS}


MEANT, LINE, WHOLE, UNHARMED, SINGLE, COUNTED, EVENTS, SLOTS, SHOWN = checks.CHECKS
Doctor = Callable[[Record], object]


def received(record: Record, *events: Event) -> None:
    """Other events than there were, or in another order."""
    record.received = list(events)


def ghost(record: Record) -> None:
    """A session whose agent is gone, and which is shown as running all the same for minutes."""
    look(record, agents={"a.1": (100, 7)})
    record.samples.append(replace(record.last, at=record.last.at + 100))


DOCTORED: list[tuple[str, str, Doctor]] = [
    ("did not come to rest", MEANT, lambda r: setattr(r, "unsettled", "states")),
    (
        "was meant to be running",
        MEANT,
        lambda r: rows(r, a=Row("parked", 1, "light")),
    ),
    (
        "was meant to be paused",
        MEANT,
        lambda r: rows(r, d=Row("running", 2, "notes")),
    ),
    ("did not answer", MEANT, lambda r: look(r, rows=None)),
    ("did not answer", SHOWN, lambda r: look(r, rows=None)),
    ("is missing", MEANT, lambda r: rows(r, a=None)),
    ("let in before c", LINE, lambda r: rows(r, d=Row("running", 2, "notes", 9, True, 1))),
    ("lost its place", LINE, lambda r: rows(r, c=Row("queued", 0, "notes", 8, False))),
    ("there is room", LINE, lambda r: rows(r, b=Row("ended", 1, "notes"))),
    ("lost the prompt 'Hello'", WHOLE, lambda r: r.last_requests.update(a=["First.", "Last"])),
    ("lost the reply 'First.'", WHOLE, lambda r: r.last_requests.update(a=["Hello", "Last"])),
    ("did not ask", WHOLE, lambda r: r.last_requests.clear()),
    ("2 times", WHOLE, lambda r: r.notes.update(b=["Note", "Note"])),
    ("nobody touched it", UNHARMED, lambda r: look(r, agents={"a.1": (100, 7)})),
    ("nobody touched it", UNHARMED, lambda r: look(r, agents={**AGENTS, "b.1": (201, 9)})),
    ("at the same time", SINGLE, lambda r: look(r, doubled=(("a.1", "a.2"),))),
    ("was left", SINGLE, lambda r: setattr(r, "orphans", ("process 7",))),
    ("for 100 s without a process", SHOWN, ghost),
    ("never sent", COUNTED, lambda r: r.ledger.update(msg_9=USAGE)),
    ("counted as", COUNTED, lambda r: r.ledger.update(msg_1={**USAGE, "output": 3})),
    ("not counted", COUNTED, lambda r: r.ledger.pop("msg_1")),
    (
        "in no transcript",
        COUNTED,
        lambda r: (r.ledger.pop("msg_1"), r.transcripts.pop("msg_1")),
    ),
    ("never received", EVENTS, lambda r: r.committed.append(Event("e4", "a", 3))),
    ("received after 2", EVENTS, lambda r: received(r, *reversed(r.committed))),
    ("under two ids", EVENTS, lambda r: r.received.append(Event("e9", "a", 2))),
    ("different content", EVENTS, lambda r: r.received.append(Event("e2", "a", 5))),
    ("never committed", EVENTS, lambda r: r.received.append(Event("e9", "a", 9))),
    ("4 agents lived", SLOTS, lambda r: look(r, agents={**AGENTS, "c.1": (3, 1), "d.2": (4, 1)})),
    ("2 slots were held", SLOTS, lambda r: rows(r, c=Row("running", 1, "notes", 3, True))),
    ("has no process", SHOWN, lambda r: look(r, agents={"a.1": (100, 7)})),
    ("is shown with process", SHOWN, lambda r: rows(r, a=Row("running", 1, "light", 1, True, 101))),
    ("is shown as paused", SHOWN, lambda r: look(r, agents={**AGENTS, "d.1": (300, 7)})),
    ("no session is shown", SHOWN, lambda r: look(r, agents={**AGENTS, "z.1": (300, 7)})),
]


@pytest.mark.parametrize(("said", "promise", "doctor"), DOCTORED)
def test_a_broken_promise_is_seen(said: str, promise: str, doctor: Doctor) -> None:
    record = healthy()
    doctor(record)
    assert any(said in violation for violation in checks.check(record)[promise]), checks.check(record)


def test_every_check_is_seen_to_fail() -> None:
    assert {promise for _, promise, _ in DOCTORED} == checks.CHECKS.keys()


def test_who_was_killed_was_not_harmed_by_others() -> None:
    record = healthy()
    record.harms.append(Harm(103.5, 103.6, "kill agent", frozenset("b")))
    look(record, agents={"a.1": (100, 7)})
    assert list(checks.unharmed(record)) == []


def test_a_reply_whose_agent_died_is_listed_apart() -> None:
    record = healthy()
    record.ledger.pop("msg_1")
    record.transcripts.pop("msg_1")
    record.harms.append(Harm(50.5, 50.5, "kill agent", frozenset("a")))
    assert list(checks.ledger(record)) == []
    assert [one.id for one in checks.cut_replies(record)] == ["msg_1"]


def test_who_comes_first_in_another_project_is_no_reason_to_wait() -> None:
    record = healthy()
    rows(record, e=Row("running", 1, "light", 9, True, 1))
    assert list(checks.line(record)) == []
