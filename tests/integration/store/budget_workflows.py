"""What workflows and hosts do with sessions that budgets hold, for the test of budgets."""

from collections.abc import Sequence
from typing import NamedTuple

from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.steps import Admission
from stratavore.store import budgets, holds
from stratavore.store.budgets import Overdrawn
from tests.integration.store.steps import HOST, Session, Store


class Standing(NamedTuple):
    """A session as the database knows it."""

    state: SessionState
    slots: int
    runners: int
    """That have not ended."""


class Workflows:
    """Sessions, each with what its workflow knows."""

    def __init__(self, store: Store, sessions: Sequence[Session]) -> None:
        self._store = store
        self.sessions = {one.session_id: one for one in sessions}
        self.states = dict.fromkeys(self.sessions, SessionState.QUEUED)
        self.ends: dict[str, int] = dict.fromkeys(self.sessions, 0)
        """When each one's last runner ended, as the number of that end."""
        self._runners: dict[str, str] = {}

    def running(self) -> list[str]:
        """Those with a runner."""
        return [id_ for id_, state in self.states.items() if state is SessionState.RUNNING]

    def held(self) -> list[str]:
        """Those that wait for a limit, in the order in which they were put away."""
        held = [id_ for id_, one in self.states.items() if one in (SessionState.LIMITED, SessionState.ASKING)]
        return sorted(held, key=lambda id_: self.ends[id_])

    async def admitted(self, session_id: str, answer: Admission) -> None:
        """It runs, or is held."""
        session = self.sessions[session_id]
        if answer.hold:
            self.states[session_id] = answer.hold.state
            if answer.hold.state is SessionState.ENDED:
                await self._store.do(session.record(SessionState.ENDED))
            return
        assert answer.granted
        runner_id = (await self._store.placed(session)).runner_id
        await self._store.fetch("UPDATE runners SET started_at = now() WHERE id = $1", runner_id)
        await self._store.fetch("UPDATE sessions SET state = 'running' WHERE id = $1", session_id)
        self._runners[session_id] = runner_id
        self.states[session_id] = SessionState.RUNNING

    async def end(self, session_id: str, state: SessionState) -> None:
        """Its runner ends, and it is in this state."""
        session, runner_id = self.sessions[session_id], self._runners.pop(session_id)
        await self._store.do(session.record(state, runner_id, RunnerStatus.PAUSED))
        self.states[session_id] = state
        self.ends[session_id] = max(self.ends.values()) + 1

    async def work(self, session_id: str, activity: Activity) -> None:
        """Its agent does this."""
        await self._store.fetch(
            "UPDATE runners SET activity = $1 WHERE session_id = $2 AND ended_at IS NULL", activity, session_id
        )

    async def overdrawn(self) -> list[Overdrawn]:
        """Runners that budgets hold, as their host sees it."""
        async with self._store.database.pool.acquire() as connection:
            return await budgets.overdrawn(connection, HOST)

    async def free(self) -> list[str]:
        """Who may go on."""
        async with self._store.database.pool.acquire() as connection:
            return await holds.free(connection)

    async def holds(self) -> dict[str, SessionState | None]:
        """As what each session is held now."""
        async with self._store.database.pool.acquire() as connection:
            found = {id_: await holds.holding(connection, id_) for id_ in self.sessions}
        return {id_: hold.state if hold else None for id_, hold in found.items()}

    async def standing(self) -> dict[str, Standing]:
        """What the database says of each session."""
        rows = await self._store.fetch(
            "SELECT id::text, state, (SELECT count(*) FROM admissions WHERE session_id = sessions.id) AS slots,"
            "       (SELECT count(*) FROM runners WHERE session_id = sessions.id AND ended_at IS NULL) AS runners"
            " FROM sessions WHERE id = ANY ($1::uuid[])",
            list(self.sessions),
        )
        return {row["id"]: Standing(SessionState(row["state"]), row["slots"], row["runners"]) for row in rows}
