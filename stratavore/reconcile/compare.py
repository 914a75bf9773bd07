"""What differs: a pure function of the facts. It concludes nothing from what is not known."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from stratavore.models.findings import DifferenceKind
from stratavore.models.states import PUT_AWAY_STATES, SLOTLESS_STATES, SessionState
from stratavore.models.upkeep import UpkeepPart
from stratavore.naming import generation_of, session_of, short
from stratavore.reconcile.behind import behind
from stratavore.reconcile.facts import Facts
from stratavore.reconcile.finding import Finding, Repair
from stratavore.reconcile.temporal import Closed, Known
from stratavore.store.reconcile import RunnerRow, SessionRow

PATIENCE = timedelta(seconds=60)
"""How long a workflow may take to have its session's row opened or changed: a worker may be away."""
DIRECTORY_AGE = timedelta(days=30)
"""A run directory that nobody knows, and that was not written to for so long, is removed."""
_OF_A_HOST = frozenset(
    {
        DifferenceKind.SESSION_BEHIND,
        DifferenceKind.RUNNER_UNWATCHED,
        DifferenceKind.RUNNER_OUTLIVES_SESSION,
        DifferenceKind.ORPHAN_PROCESSES,
        DifferenceKind.ORPHAN_TERMINAL,
        DifferenceKind.RUN_DIRECTORY_UNKNOWN,
    }
)
_END_ORPHANS = "to end it: stratavore reconcile --end-orphans"


def compare(facts: Facts, *, end_orphans: bool = False, part: UpkeepPart | None = None) -> list[Finding]:
    """All differences, in an order in which they can be repaired one after the other.

    Args:
        facts: what everyone says.
        end_orphans: end what nobody decides for any more, instead of taking it up or leaving it to a person.
        part: those of this part only: each difference is of one of them.
    """
    found = [*_workflows(facts, end_orphans)]
    if facts.seen:
        found += [*behind(facts.recorded, facts.ahead)]
        found += [*_runners(facts), *_orphans(facts, end_orphans), *_directories(facts)]
    found += [*_slots(facts), *_hosts(facts)]
    return [one for one in found if part in (None, _part(facts, one))]


def _part(facts: Facts, finding: Finding) -> UpkeepPart | None:
    """Whose difference it is; None: another host's."""
    if finding.kind in _OF_A_HOST:
        return UpkeepPart.HOST
    if finding.kind is DifferenceKind.SESSION_WITHOUT_WORKFLOW:
        assert finding.session is not None
        # Its own host knows whether the agent is just ending; of one that is away nobody does.
        runner = _launched(facts, finding.session)
        host = facts.recorded.hosts.get(runner.host) if runner else None
        if host and not host.away:
            return UpkeepPart.HOST if host.name == facts.host else None
    return UpkeepPart.SERVERS


def _workflows(facts: Facts, end_orphans: bool) -> Iterator[Finding]:
    sessions = facts.recorded.sessions
    for session_id, closed in facts.closed.items():
        yield from _without_workflow(facts, sessions[session_id], closed, end_orphans)
    for session_id, workflow in facts.open.items():
        session = sessions.get(session_id)
        if session is None:
            known = facts.strangers.get(session_id)
            if known and known.open and (known.acted or facts.at - workflow.started > PATIENCE):
                yield _without_session(session_id, known, workflow.started, end_orphans)
        elif (
            # Restored from before somebody resumed it: its workflow waits for a slot that nobody knows of.
            workflow.state is SessionState.QUEUED
            and session.state in PUT_AWAY_STATES
            and session_id not in facts.recorded.slots
            and facts.at - session.updated_at > PATIENCE
        ):
            yield Finding(
                DifferenceKind.PLACE_MISSING,
                session_id,
                f"The session {short(session_id)} is shown as {session.state}, but its workflow waits for a slot",
                Repair.ASK_AGAIN,
                since=session.updated_at,
                session=session,
            )


def _without_session(session_id: str, known: Known, started: datetime, end_orphans: bool) -> Finding:
    repair = Repair.OPEN_SESSION if known.begun else None
    why = "the row was deleted, or is newer than a restored backup" if known.begun else "no worker has begun with it"
    return Finding(
        DifferenceKind.WORKFLOW_WITHOUT_SESSION,
        session_id,
        f"The workflow of the session {short(session_id)} is open, but Postgres has no such session: {why}",
        Repair.TERMINATE_WORKFLOW if end_orphans else repair,
        advice="see it in Temporal's Web UI; to terminate it: stratavore reconcile --end-orphans",
        since=started,
    )


def _without_workflow(facts: Facts, session: SessionRow, closed: Closed, end_orphans: bool) -> Iterator[Finding]:
    runner = _launched(facts, session)
    if runner and facts.seen and runner.runner_id in facts.seen.ending:
        return  # the monitor is ending the session with it
    how = f"its workflow is {closed.status.name.lower()}" if closed.status else "Temporal knows no workflow of it"
    yield Finding(
        DifferenceKind.SESSION_WITHOUT_WORKFLOW,
        session.session_id,
        f"The session {short(session.session_id)} is shown as {session.state}, but {how}",
        _for_session(closed, agent=runner is not None, end_orphans=end_orphans),
        advice="its host records the end of its runner, once its daemon is there",
        since=closed.at,
        session=session,
    )


def _for_session(closed: Closed, *, agent: bool, end_orphans: bool) -> Repair | None:
    if closed.completed:
        # It ended in order, and the row was restored from before. Of an agent that it shows its host tells.
        return Repair.END_AGENT if agent and end_orphans else None if agent else Repair.END_SESSION
    if agent:
        return Repair.END_AGENT if end_orphans else Repair.TAKE_UP
    return Repair.END_SESSION if closed.terminated or end_orphans else Repair.TAKE_UP


def _launched(facts: Facts, session: SessionRow) -> RunnerRow | None:
    """The session's runner that was launched and has no recorded end."""
    runner = facts.recorded.runners.get(f"{session.session_id}.{session.generation}")
    return runner if runner and runner.launched and runner.ended_at is None else None


def _runners(facts: Facts) -> Iterator[Finding]:
    """Runners without a recorded end, of this host."""
    seen = facts.seen
    assert seen is not None
    for runner in facts.recorded.runners.values():
        if runner.ended_at is not None or runner.host != facts.host:
            continue
        session = facts.recorded.sessions.get(runner.session_id)
        if session is None:
            continue
        if session.state is SessionState.ENDED or session.generation > runner.generation:
            over = "its session has ended" if session.state is SessionState.ENDED else "a later one is the current one"
            yield Finding(
                DifferenceKind.RUNNER_OUTLIVES_SESSION,
                runner.runner_id,
                f"The runner {_short_runner(runner.runner_id)} has no recorded end, but {over}",
                Repair.END_RUNNER,
                since=session.updated_at if session.state is SessionState.ENDED else None,
                session=session,
            )
        elif runner.launched and runner.runner_id not in seen.watched:
            lives = "its process lives" if runner.runner_id in seen.processes else "it has no process"
            yield Finding(
                DifferenceKind.RUNNER_UNWATCHED,
                runner.runner_id,
                f"The runner {_short_runner(runner.runner_id)} is shown as running, and nobody watches it; {lives}",
                Repair.WATCH,
                session=session,
            )


def _orphans(facts: Facts, end_orphans: bool) -> Iterator[Finding]:
    """Processes and terminals of runners that are over."""
    seen = facts.seen
    assert seen is not None
    for runner_id in sorted(seen.living):
        over = _over(facts, runner_id)
        if over is None and (runner_id not in facts.recorded.unknown or _forgotten(facts, runner_id)):
            continue
        session = facts.recorded.sessions.get(session_of(runner_id))
        known = over or "Postgres does not know it, which proves nothing"
        since = _ended_at(facts, runner_id)
        safe = over is not None or end_orphans
        if processes := seen.processes.get(runner_id):
            pids = ", ".join(str(one.pid) for one in processes)
            yield Finding(
                DifferenceKind.ORPHAN_PROCESSES,
                runner_id,
                f"Processes of the runner {_short_runner(runner_id)} live ({pids}), but {known}",
                Repair.END_PROCESSES if safe else None,
                advice=_END_ORPHANS,
                since=since,
                session=session,
                forced=over is None,
            )
        if runner_id in seen.terminals:
            yield Finding(
                DifferenceKind.ORPHAN_TERMINAL,
                runner_id,
                f"The runner {_short_runner(runner_id)} has a terminal, but {known}",
                Repair.CLOSE_TERMINAL if safe else None,
                advice=_END_ORPHANS,
                since=since,
                session=session,
                forced=over is None,
            )


def _forgotten(facts: Facts, runner_id: str) -> bool:
    """Whether it is of a session that Postgres knows less of than others: that is brought up to date first."""
    session_id = session_of(runner_id)
    workflow = facts.strangers.get(session_id)
    return (
        session_id in facts.ahead or session_id in facts.recorded.strangers or (workflow is not None and workflow.open)
    )


def _over(facts: Facts, runner_id: str) -> str | None:
    """Why a runner is over for good, by the same proof as the store's ``proven_over``; None: nothing proves it."""
    generation = generation_of(runner_id)
    session = facts.recorded.sessions.get(session_of(runner_id))
    runner = facts.recorded.runners.get(runner_id)
    if runner:
        return "its end is recorded" if runner.ended_at else None
    if session and session.generation > generation:
        return "a later one is the current one"
    if session and session.generation == generation and session.state is SessionState.ENDED:
        return "its session has ended"
    return None


def _ended_at(facts: Facts, runner_id: str) -> datetime | None:
    runner = facts.recorded.runners.get(runner_id)
    return runner.ended_at if runner else None


def _directories(facts: Facts) -> Iterator[Finding]:
    for runner_id, changed in facts.changed.items():
        old = facts.at - changed > DIRECTORY_AGE
        session = facts.recorded.sessions.get(session_of(runner_id))
        of_the_past = session is not None and generation_of(runner_id) < session.generation
        if not old and (of_the_past or _forgotten(facts, runner_id)):
            continue  # the database was restored from before it, and its session has gone on
        yield Finding(
            DifferenceKind.RUN_DIRECTORY_UNKNOWN,
            runner_id,
            f"There is a run directory of {_short_runner(runner_id)}, but Postgres does not know that runner",
            Repair.REMOVE_DIRECTORY if old else None,
            advice=f"it is removed once it has not changed for {DIRECTORY_AGE.days} days and nothing of it lives",
            since=changed,
        )


def _slots(facts: Facts) -> Iterator[Finding]:
    recorded = facts.recorded
    for session_id, slot in recorded.slots.items():
        session = recorded.sessions[session_id]
        if session.state in SLOTLESS_STATES:
            holds = "a slot" if slot.granted_at else "a place in the line"
            yield Finding(
                DifferenceKind.SLOT_UNUSED,
                session_id,
                f"The session {short(session_id)} is {session.state}, but holds {holds}",
                Repair.RELEASE_SLOT,
                since=session.updated_at,
                session=session,
            )
    for session_id, session in recorded.sessions.items():
        held = recorded.slots.get(session_id)
        if session.state is SessionState.RUNNING and _launched(facts, session) and not (held and held.granted_at):
            yield Finding(
                DifferenceKind.SLOT_MISSING,
                session_id,
                f"The session {short(session_id)} runs, but holds no slot: more could run than the limits allow",
                Repair.TAKE_SLOT,
                since=session.updated_at,
                session=session,
            )
        elif session.state is SessionState.QUEUED and held is None and session_id not in facts.closed:
            yield Finding(
                DifferenceKind.PLACE_MISSING,
                session_id,
                f"The session {short(session_id)} is queued, but has no place in the line",
                Repair.ASK_AGAIN,
                since=session.updated_at,
                session=session,
            )


def _hosts(facts: Facts) -> Iterator[Finding]:
    for host in facts.recorded.hosts.values():
        if host.away and host.runners:
            yield Finding(
                DifferenceKind.HOST_AWAY,
                host.name,
                f"The host {host.name} does not renew its lease; its agents may live, and its sessions wait for it",
                None,
                advice="start its daemon; of its processes nothing can be told from here",
                since=host.renewed_at,
            )


def _short_runner(runner_id: str) -> str:
    return f"{short(runner_id)}.{generation_of(runner_id)}"
