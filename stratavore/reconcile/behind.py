"""Sessions of which Postgres knows less than others: it was restored from a backup, and they went on.

What a host has on its disk and what a workflow waits for are proofs: a run directory is begun for a generation that
Postgres has given out, and a supervision is scheduled for a runner that was launched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stratavore.models.findings import DifferenceKind
from stratavore.models.states import PUT_AWAY_STATES, SessionState
from stratavore.naming import generation_of, session_of, short
from stratavore.reconcile.finding import Finding, Repair
from stratavore.reconcile.here import Seen
from stratavore.reconcile.temporal import Known
from stratavore.store.reconcile import Recorded, RunnerRow, SessionRow


@dataclass(frozen=True)
class Ahead:
    """What is known of a session beside Postgres."""

    generation: int
    """Of the newest runner that began on this host."""
    lives: bool
    """That runner's agent is not proven dead."""
    workflow: Known

    def runner_id(self, session_id: str) -> str:
        """The newest runner's."""
        return f"{session_id}.{self.generation}"

    def runs(self, session_id: str) -> bool:
        """Whether that runner is the session's: it lives, or its workflow waits to hear of its end."""
        return self.lives or self.runner_id(session_id) in self.workflow.pending


def newest(seen: Seen) -> dict[str, int]:
    """The newest generation of each session that has a run directory on the host."""
    found: dict[str, int] = {}
    for runner_id in seen.directories:
        session_id, generation = session_of(runner_id), generation_of(runner_id)
        found[session_id] = max(generation, found.get(session_id, 0))
    return found


def suspects(seen: Seen, recorded: Recorded) -> Iterator[tuple[str, int]]:
    """Sessions of the host that Postgres may be behind, with the newest generation there."""
    for session_id, generation in newest(seen).items():
        session = recorded.sessions.get(session_id)
        runner_id = f"{session_id}.{generation}"
        if session is None or generation < session.generation:
            continue
        runner = recorded.runners.get(runner_id)
        never_shown = runner is not None and not runner.launched
        told_in_vain = runner_id in seen.ending and session.state not in PUT_AWAY_STATES
        if generation > session.generation or runner_id in recorded.unknown or never_shown or told_in_vain:
            yield session_id, generation


def behind(recorded: Recorded, ahead: Mapping[str, Ahead]) -> Iterator[Finding]:
    """Those of the suspects that Postgres is behind."""
    for session_id, known in ahead.items():
        session = recorded.sessions[session_id]
        runner = recorded.runners.get(known.runner_id(session_id))
        if (state := state_after(session, known, runner)) is None:
            continue
        yield Finding(
            DifferenceKind.SESSION_BEHIND,
            session_id,
            f"The session {short(session_id)} went on to runner {known.generation} and is {state}, but Postgres "
            f"shows it as {session.state} with runner {session.generation}: it may have been restored from a backup",
            Repair.CATCH_UP,
            since=session.updated_at,
            session=session,
        )


def state_after(session: SessionRow, known: Ahead, runner: RunnerRow | None) -> SessionState | None:
    """The state that the session is to be shown in, whose newest runner has this row; None: Postgres is not behind."""
    if known.generation > session.generation or runner is None:
        if known.runs(session.session_id):
            return SessionState.RUNNING
        return _decided(known.workflow) or session.state
    if not runner.launched:  # restored to the moment between a launch's steps, which nobody repeats
        return SessionState.RUNNING if known.runner_id(session.session_id) in known.workflow.pending else None
    # Its end is told to a workflow that has dealt with it.
    decided = _decided(known.workflow)
    rests = decided is not None and decided in PUT_AWAY_STATES and known.workflow.waits
    return decided if rests and runner.ended_at is None and not known.lives else None


def _decided(workflow: Known) -> SessionState | None:
    """What a workflow has made of its session, where nothing of it runs."""
    if workflow.completed:
        return SessionState.ENDED
    if not workflow.open:
        return None
    return workflow.state if workflow.state in PUT_AWAY_STATES else SessionState.QUEUED
