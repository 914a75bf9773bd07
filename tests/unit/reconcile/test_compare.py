"""What differs, and what does not: over many worlds, and at the edges of what is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import WorkflowExecutionStatus

from stratavore.models.findings import DifferenceKind
from stratavore.models.states import RESTING_STATES, SessionState
from stratavore.reconcile.behind import Ahead, state_after
from stratavore.reconcile.compare import DIRECTORY_AGE, PATIENCE, compare
from stratavore.reconcile.facts import Facts
from stratavore.reconcile.finding import Repair
from stratavore.reconcile.here import Seen
from stratavore.reconcile.temporal import Closed, Known, Open
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store.reconcile import HostRow, Recorded, RunnerRow, SessionRow, SlotRow

NOW = datetime.now(UTC)
SESSION = "1a2b3c4d-0000-4000-8000-000000000001"
PROCESS = ProcessIdentity(pid=42, start_ticks=1, boot_id="b")
TERMINATED = Closed(WorkflowExecutionStatus.TERMINATED, NOW)
HELD = {SessionState.STARTING, SessionState.RUNNING, SessionState.RECOVERING}


def session(state: SessionState = SessionState.RUNNING, generation: int = 1, session_id: str = SESSION) -> SessionRow:
    return SessionRow(
        session_id=session_id,
        project_id="p",
        project="site",
        state=state,
        reason=None,
        generation=generation,
        host="here",
        incarnation="i",
        updated_at=NOW,
    )


def runner(generation: int = 1, *, ended: bool = False, host: str = "here", session_id: str = SESSION) -> RunnerRow:
    return RunnerRow(
        runner_id=f"{session_id}.{generation}",
        session_id=session_id,
        generation=generation,
        host=host,
        launched=True,
        created_at=NOW,
        ended_at=NOW if ended else None,
    )


def facts(
    *rows: SessionRow | RunnerRow | SlotRow | HostRow,
    processes: tuple[str, ...] = (),
    terminals: tuple[str, ...] = (),
    watched: tuple[str, ...] = (),
    unknown: tuple[str, ...] = (),
    closed: dict[str, Closed] | None = None,
    opened: dict[str, datetime] | None = None,
    changed: dict[str, datetime] | None = None,
    blind: bool = False,
    strangers: dict[str, Known] | None = None,
) -> Facts:
    recorded = Recorded(
        sessions={one.session_id: one for one in rows if isinstance(one, SessionRow)},
        runners={one.runner_id: one for one in rows if isinstance(one, RunnerRow)},
        slots={one.session_id: one for one in rows if isinstance(one, SlotRow)},
        hosts={one.name: one for one in rows if isinstance(one, HostRow)},
        unknown=frozenset(unknown),
    )
    seen = Seen(
        processes=dict.fromkeys(processes, (PROCESS,)),
        terminals=dict.fromkeys(terminals, "p"),
        directories=frozenset(),
        watched=frozenset(watched),
        ending=frozenset(),
        unseen=(),
    )
    workflows = {session_id: Open(started, None) for session_id, started in (opened or {}).items()}
    return Facts(
        at=NOW,
        host="here",
        seen=None if blind else seen,
        recorded=recorded,
        open=workflows,
        closed=closed or {},
        changed=changed or {},
        ahead={},
        strangers=strangers or {},
    )


@st.composite
def right(draw: st.DrawFn) -> Facts:
    """A world in which everyone agrees: sessions in any state, with what belongs to it."""
    rows: list[SessionRow | RunnerRow | SlotRow | HostRow] = []
    alive: list[str] = []
    opened: dict[str, datetime] = {}
    for session_id in map(str, draw(st.lists(st.uuids(), max_size=8, unique=True))):
        state = draw(st.sampled_from(list(SessionState)))
        generation = draw(st.integers(1, 4))
        rows.append(session(state, generation, session_id))
        rows += [runner(one, ended=True, session_id=session_id) for one in range(1, generation)]
        runs = state is SessionState.RUNNING
        host = draw(st.sampled_from(["here", "elsewhere"]))
        rows.append(runner(generation, ended=not runs, host=host, session_id=session_id))
        if runs and host == "here":
            alive.append(f"{session_id}.{generation}")
        if state is not SessionState.ENDED:
            opened[session_id] = NOW - timedelta(hours=1)
        if state in HELD:
            rows.append(SlotRow(session_id=session_id, granted_at=NOW))
        if state is SessionState.QUEUED:
            rows.append(SlotRow(session_id=session_id, granted_at=None))
    who = tuple(alive)
    return facts(*rows, processes=who, terminals=who, watched=who, opened=opened)


@given(right(), st.booleans())
def test_nothing_differs_where_everyone_agrees(world: Facts, end_orphans: bool) -> None:
    assert compare(world, end_orphans=end_orphans) == []


@given(right(), st.data())
def test_one_thing_that_is_wrong_is_one_difference(world: Facts, data: st.DataObject) -> None:
    """And what is safe to be repaired is never a healthy agent."""
    live = sorted(world.open)
    if not live:
        return
    wrong = data.draw(st.sampled_from(live))
    closed = data.draw(st.sampled_from([TERMINATED, Closed()]))
    (found,) = compare(replace(world, open={k: v for k, v in world.open.items() if k != wrong}, closed={wrong: closed}))
    assert (found.kind, found.subject) == (DifferenceKind.SESSION_WITHOUT_WORKFLOW, wrong)
    if world.recorded.sessions[wrong].state is SessionState.RUNNING:
        assert found.repair is Repair.TAKE_UP


@pytest.mark.parametrize(
    ("state", "closed", "end_orphans", "repair"),
    [
        (SessionState.RUNNING, TERMINATED, False, Repair.TAKE_UP),
        (SessionState.RUNNING, TERMINATED, True, Repair.END_AGENT),
        (SessionState.PAUSED, TERMINATED, False, Repair.END_SESSION),
        (SessionState.PAUSED, Closed(), False, Repair.TAKE_UP),
        (SessionState.PAUSED, Closed(), True, Repair.END_SESSION),
        (SessionState.QUEUED, Closed(WorkflowExecutionStatus.FAILED, NOW), False, Repair.TAKE_UP),
    ],
)
def test_a_session_without_workflow(state: SessionState, closed: Closed, end_orphans: bool, repair: Repair) -> None:
    rows: list[SessionRow | RunnerRow | SlotRow] = [session(state)]
    alive = (f"{SESSION}.1",) if state is SessionState.RUNNING else ()
    if alive:
        rows += [runner(), SlotRow(session_id=SESSION, granted_at=NOW)]
    world = facts(*rows, processes=alive, terminals=alive, watched=alive, closed={SESSION: closed})
    (found,) = compare(world, end_orphans=end_orphans)
    assert found.repair is repair


def test_what_the_monitor_is_telling_is_no_difference() -> None:
    world = facts(
        session(),
        runner(),
        SlotRow(session_id=SESSION, granted_at=NOW),
        watched=(f"{SESSION}.1",),
        closed={SESSION: TERMINATED},
    )
    assert world.seen is not None
    ending = replace(world, seen=replace(world.seen, ending=frozenset({f"{SESSION}.1"})))
    assert [one.kind for one in compare(world)] == [DifferenceKind.SESSION_WITHOUT_WORKFLOW]
    assert compare(ending) == []


@pytest.mark.parametrize(
    ("rows", "unknown", "proven"),
    [
        ((session(SessionState.PAUSED), runner(ended=True)), False, True),
        ((session(SessionState.PAUSED, generation=2),), True, True),
        ((session(SessionState.ENDED),), True, True),
        ((session(SessionState.PAUSED),), True, False),  # the generation is the current one: its row was deleted
        ((session(SessionState.ENDED, generation=0),), True, False),  # Postgres is older than the process
        ((), True, False),
    ],
)
def test_only_what_is_proven_to_be_over_is_ended(
    rows: tuple[SessionRow | RunnerRow, ...], unknown: bool, proven: bool
) -> None:
    one = f"{SESSION}.1"
    world = facts(*rows, processes=(one,), terminals=(one,), unknown=(one,) if unknown else ())
    processes, terminal = compare(world)
    assert (processes.kind, terminal.kind) == (DifferenceKind.ORPHAN_PROCESSES, DifferenceKind.ORPHAN_TERMINAL)
    assert (processes.repair, terminal.repair) == (
        (Repair.END_PROCESSES, Repair.CLOSE_TERMINAL) if proven else (None, None)
    )
    forced = compare(world, end_orphans=True)
    assert [(found.repair, found.forced) for found in forced] == [
        (Repair.END_PROCESSES, not proven),
        (Repair.CLOSE_TERMINAL, not proven),
    ]


def test_a_workflow_may_take_a_while_to_open_its_row() -> None:
    young, old = (NOW - PATIENCE + timedelta(seconds=n) for n in (1, -1))

    def judged(started: datetime, known: Known, *, end_orphans: bool = False) -> list[Repair | None]:
        found = compare(facts(opened={SESSION: started}, strangers={SESSION: known}), end_orphans=end_orphans)
        assert all(one.kind is DifferenceKind.WORKFLOW_WITHOUT_SESSION for one in found)
        return [one.repair for one in found]

    untouched = replace(workflow(state=SessionState.QUEUED), events=3)
    assert judged(young, untouched) == []
    assert judged(old, untouched) == [None]
    assert judged(old, untouched, end_orphans=True) == [Repair.TERMINATE_WORKFLOW]
    assert judged(young, replace(untouched, events=9)) == []
    assert judged(old, replace(untouched, events=9)) == [Repair.OPEN_SESSION]
    assert judged(young, workflow(state=SessionState.PAUSED)) == [Repair.OPEN_SESSION]


def test_a_run_directory_is_removed_when_it_is_old() -> None:
    one = f"{SESSION}.1"
    for days, repair in ((-1, None), (1, Repair.REMOVE_DIRECTORY)):
        (found,) = compare(facts(unknown=(one,), changed={one: NOW - DIRECTORY_AGE - timedelta(days=days)}))
        assert (found.kind, found.repair) == (DifferenceKind.RUN_DIRECTORY_UNKNOWN, repair)


@pytest.mark.parametrize("state", sorted(RESTING_STATES | {SessionState.ENDED}))
def test_who_rests_holds_no_slot(state: SessionState) -> None:
    (found,) = compare(facts(session(state), SlotRow(session_id=SESSION, granted_at=None)))
    assert (found.kind, found.repair) == (DifferenceKind.SLOT_UNUSED, Repair.RELEASE_SLOT)


def test_who_cannot_see_the_host_judges_nothing_on_it() -> None:
    rows = (session(), runner(), SlotRow(session_id=SESSION, granted_at=NOW))
    assert compare(facts(*rows, opened={SESSION: NOW}, blind=True)) == []
    (seen,) = compare(facts(*rows, opened={SESSION: NOW}))
    assert (seen.kind, seen.repair) == (DifferenceKind.RUNNER_UNWATCHED, Repair.WATCH)


def workflow(
    status: WorkflowExecutionStatus | None = WorkflowExecutionStatus.RUNNING,
    state: SessionState | None = SessionState.RUNNING,
    *pending: str,
) -> Known:
    return Known(status, state, frozenset(pending))


COMPLETED = WorkflowExecutionStatus.COMPLETED


@pytest.mark.parametrize(
    ("row", "newest", "lives", "its_workflow", "state"),
    [
        # What Postgres has forgotten runs, or its end is waited for.
        (session(SessionState.PAUSED), 3, True, workflow(None, None), SessionState.RUNNING),
        (session(SessionState.ENDED), 2, False, workflow(state=SessionState.RUNNING), SessionState.QUEUED),
        (session(), 3, False, Known(WorkflowExecutionStatus.RUNNING, None, frozenset({f"{SESSION}.3"})),
         SessionState.RUNNING),
        # It was put away, or ended, by a later runner.
        (session(), 2, False, workflow(WorkflowExecutionStatus.RUNNING, SessionState.PAUSED), SessionState.PAUSED),
        (session(), 2, False, workflow(COMPLETED, SessionState.ENDED), SessionState.ENDED),
        # Nobody knows more than that there was a later runner: generations only grow.
        (session(SessionState.PAUSED), 2, False, workflow(None, None), SessionState.PAUSED),
    ],
)  # fmt: skip
def test_a_session_is_shown_as_what_is_proven(
    row: SessionRow, newest: int, lives: bool, its_workflow: Known, state: SessionState
) -> None:
    assert state_after(row, Ahead(newest, lives, its_workflow), None) is state


def test_what_is_about_to_be_told_is_not_behind() -> None:
    """The runner has died, and its workflow does not know it yet; or knows it, and has not put the session away."""
    row, its_row = session(), runner()
    for its_workflow in (
        Known(WorkflowExecutionStatus.RUNNING, SessionState.RUNNING, frozenset({f"{SESSION}.1"})),
        Known(WorkflowExecutionStatus.RUNNING, SessionState.RUNNING, frozenset()),
        Known(WorkflowExecutionStatus.RUNNING, SessionState.PAUSED, frozenset({"7"})),
        workflow(WorkflowExecutionStatus.TERMINATED),
    ):
        assert state_after(row, Ahead(1, False, its_workflow), its_row) is None
    rests = Known(WorkflowExecutionStatus.RUNNING, SessionState.PAUSED, frozenset())
    assert state_after(row, Ahead(1, False, rests), its_row) is SessionState.PAUSED
    assert state_after(row, Ahead(1, True, rests), its_row) is None
    assert state_after(row, Ahead(1, False, rests), runner(ended=True)) is None
