"""Commands to sessions: pause, resume, end; and waiting for their effect."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Literal

from stratavore import targets
from stratavore.control.reach import Reach
from stratavore.control.refusals import wrong_state
from stratavore.models.session import PauseSignal, ResumeSignal, TerminateSignal
from stratavore.models.states import RESTING_STATES, SessionState
from stratavore.models.views import SessionView
from stratavore.store import sessions

Action = Literal["pause", "resume", "terminate"]


class Commands(Reach):
    """What sessions can be asked to become."""

    async def command(self, target: str, action: Action, request_id: str, force: bool = False) -> list[str]:
        """Ask sessions to pause, resume or end. Returns those that were asked; :meth:`wait` tells the effect."""
        async with self._database.pool.acquire() as connection:
            if target == "all":
                found = await sessions.views(connection)
            else:
                found = await targets.all_of(connection, target)
        concerned = [one for one in found if _takes(one, action)]
        if not concerned and target != "all":
            raise wrong_state(target, found, action)
        await asyncio.gather(*(self._command(one, action, request_id, force=force) for one in concerned))
        return [one.session_id for one in concerned]

    async def wait(self, session_id: str, states: Sequence[str], timeout_s: float) -> SessionView | None:
        """The session once its state is one of ``states``, or as it is at the timeout; None: it has no row yet."""
        wanted, deadline, pause = set(states), monotonic() + timeout_s, 0.01
        while True:
            async with self._database.pool.acquire() as connection:
                state = await sessions.state_of(connection, session_id)
                if state in wanted or monotonic() >= deadline:
                    found = await sessions.views(connection, ids=[session_id], ended=True)
                    return found[0] if found else None
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(pause * 1.5, 0.1)

    async def _command(self, session: SessionView, action: Action, request_id: str, *, force: bool) -> None:
        match action:
            case "resume":
                await self._resume(session, request_id)
            case "pause":
                if not await self._signal(session.session_id, "pause", PauseSignal(request_id=request_id)):
                    await self._take_up(session, "pause", PauseSignal(request_id=request_id))
            case "terminate":
                end = TerminateSignal(request_id=request_id, force=force)
                if not await self._signal(session.session_id, "terminate", end):
                    await self._take_up(session, "terminate", end)

    async def _resume(self, session: SessionView, request_id: str) -> None:
        message = ResumeSignal(request_id=request_id)
        if session.state is SessionState.ENDED:
            start = await self._again(session)
            # The signal is for a workflow that has recorded the end and is not closed yet.
            await self._start(start.model_copy(update={"resumes": True}), again=True, signal=("resume", message))
        elif not await self._signal(session.session_id, "resume", message):
            await self._take_up(session, "resume", message)


def _takes(session: SessionView, action: Action) -> bool:
    match action:
        case "resume":
            return session.state in RESTING_STATES or session.state is SessionState.ENDED
        case "pause":
            return session.state not in RESTING_STATES and session.state is not SessionState.ENDED
        case "terminate":
            return session.state is not SessionState.ENDED
