"""Commands to sessions: pause, resume, end; and waiting for their effect."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Literal

from stratavore import targets
from stratavore.control.answering import answered, heard
from stratavore.control.god import God
from stratavore.control.refusals import wrong_state
from stratavore.errors import AlreadySo
from stratavore.models.session import Operator, PauseSignal, RestartSignal, ResumeSignal, TerminateSignal
from stratavore.models.states import HELD_STATES, RESUMABLE_STATES, SessionState
from stratavore.models.views import SessionView
from stratavore.project_names import ALL
from stratavore.store import sessions

Action = Literal["pause", "resume", "terminate"]

_TYPED: dict[Action, str] = {"pause": "pause", "resume": "resume", "terminate": "kill"}


class Commands(God):
    """What sessions can be asked to become."""

    async def command(
        self,
        target: str,
        action: Action,
        request_id: str,
        force: bool = False,
        god: Mapping[str, Any] | None = None,
        again: bool = False,
        here: bool = False,
    ) -> list[dict[str, Any]]:
        """Ask sessions to pause, resume or end; :meth:`wait` tells the effect.

        Args:
            target: which sessions.
            action: what they are to do.
            request_id: a new UUID; repeated, it has no second effect.
            force: of an end: grant no time.
            god: the operator who asks: a session that is resumed takes its slot past the quotas.
            again: it may have been asked before, and the answer was lost: who is so already did what was asked.
            here: of those that are meant, the sessions of this host only.

        Returns:
            The sessions that were asked, each with its generation before that.
        """
        found = await answered(self._named(target), server="Postgres", so="nothing was asked of any session")
        if here:
            found = await self._those_here(found)
        concerned = [one for one in found if _takes(one, action, past_the_line=god is not None)]
        if not concerned and target != ALL:
            refusal = wrong_state(target, found, action)
            if again and isinstance(refusal, AlreadySo):
                return _asked(found[-1:])
            raise refusal
        operator = await self._as_god(god, _TYPED[action], [one.session_id for one in concerned])
        await heard(self._command(one, action, request_id, force, operator) for one in concerned)
        return _asked(concerned)

    async def restart(
        self, named: Sequence[str], request_id: str, god: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Ask running sessions to end their runner and start the next one.

        Args:
            named: targets; of a project all its running sessions. Nothing is restarted if one of them has none.
            request_id: a new UUID; repeated, a session is restarted once all the same.
            god: the operator who asks.

        Returns:
            The sessions that were asked, each with the generation that is to end.
        """
        found = await answered(self._running(named), server="Postgres", so="nothing was restarted")
        await self._as_god(god, "restart", [one.session_id for one in found])
        await heard(self._restart(one, request_id) for one in found)
        return _asked(found)

    async def wait(
        self, session_id: str, states: Sequence[str], timeout_s: float, generation: int = 0
    ) -> SessionView | None:
        """The session once its state is one of ``states``, or as it is at the timeout; None: it has no row yet.

        ``generation``: what an earlier runner is does not count.
        """
        wanted, deadline, pause = set(states), monotonic() + timeout_s, 0.01
        while True:
            async with self._database.pool.acquire() as connection:
                standing = await sessions.standing(connection, session_id)
                there = standing and standing.state in wanted and standing.generation >= generation
                if there or monotonic() >= deadline:
                    found = await sessions.views(connection, ids=[session_id], ended=True)
                    return found[0] if found else None
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(pause * 1.5, 0.1)

    async def _named(self, target: str) -> list[SessionView]:
        async with self._database.pool.acquire() as connection:
            return await targets.meant(connection, target)

    async def _running(self, named: Sequence[str]) -> list[SessionView]:
        """The running sessions that are meant."""
        found: dict[str, SessionView] = {}
        async with self._database.pool.acquire() as connection:
            for target in named:
                meant = await targets.meant(connection, target)
                running = [one for one in meant if self._hears(one)]
                if not running and target != ALL:
                    raise wrong_state(target, meant, "restart")
                found |= {one.session_id: one for one in running}
        return list(found.values())

    async def _command(
        self, session: SessionView, action: Action, request_id: str, force: bool, god: Operator | None
    ) -> None:
        match action:
            case "resume":
                await self._resume(session, request_id, god)
            case "pause":
                await self._ask(session, "pause", PauseSignal(request_id=request_id))
            case "terminate":
                await self._ask(session, "terminate", TerminateSignal(request_id=request_id, force=force, god=god))

    async def _restart(self, session: SessionView, request_id: str) -> None:
        await self._ask(session, "restart", RestartSignal(request_id=request_id, generation=session.generation))

    async def _resume(self, session: SessionView, request_id: str, god: Operator | None = None) -> None:
        message = ResumeSignal(request_id=request_id, god=god)
        if session.state is SessionState.ENDED:
            start = await self._again(session)
            # The signal is for a workflow that has recorded the end and is not closed yet.
            await self._start(start.model_copy(update={"resumes": True}), again=True, signal=("resume", message))
        else:
            await self._ask(session, "resume", message)


def _asked(sessions: Sequence[SessionView]) -> list[dict[str, Any]]:
    return [{"session_id": one.session_id, "generation": one.generation} for one in sessions]


def _takes(session: SessionView, action: Action, *, past_the_line: bool) -> bool:
    match action:
        case "resume" if past_the_line and session.state in HELD_STATES | {SessionState.QUEUED}:
            return True
        case "resume":
            return session.state in RESUMABLE_STATES
        case "pause":
            return session.state not in RESUMABLE_STATES
        case "terminate":
            return session.state is not SessionState.ENDED
