"""Moving sessions to other hosts."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from uuid import UUID, uuid5

from stratavore import naming, targets
from stratavore.control.god import God
from stratavore.control.refusals import wrong_state
from stratavore.errors import NotMoved
from stratavore.models.session import MoveSignal
from stratavore.models.states import SessionState
from stratavore.models.views import SessionView
from stratavore.store import hosts, requests, sessions

_LOOK_SECONDS = 0.1


class Moving(God):
    """From host to host, each session with its conversation."""

    async def move(
        self,
        target: str | None,
        request_id: str,
        host: str | None = None,
        leave: str | None = None,
        god: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Ask running sessions to go on on another host. :meth:`moved` tells the effect.

        Args:
            target: which sessions; None: all that run on the host ``leave``.
            request_id: a new UUID; repeated, a session moves once all the same.
            host: where to; None: to the least loaded of the others.
            leave: only sessions of this host.
            god: the operator who asks.

        Returns:
            The sessions that were asked, each with the host that it moves to, the generation that is to end, and the
            id of its own request.

        Raises:
            NotMoved: there is no such host, or it takes no runners. Nothing was asked then.
        """
        async with self._database.pool.acquire() as connection:
            found = await targets.all_of(connection, target) if target else await sessions.views(connection)
            room = {
                one.host: one.runners for one in await hosts.views(connection) if one.lease_s > 0 and not one.draining
            }
        running = [one for one in found if one.state is SessionState.RUNNING and leave in (None, one.host)]
        if target and not running:
            raise wrong_state(target, found, "move")
        asked = [
            (one, _destination(one, room, host), str(uuid5(UUID(request_id), one.session_id)))
            for one in running
            if target or one.host != host
        ]
        await self._as_god(god, "move", [one.session_id for one in running])
        await asyncio.gather(*(self._move(one, where, request) for one, where, request in asked))
        return [
            {"session_id": one.session_id, "host": where, "generation": one.generation, "request_id": request}
            for one, where, request in asked
        ]

    async def moved(self, session_id: str, request_id: str, generation: int, timeout_s: float) -> SessionView | None:
        """The session once its next runner runs, or as it is at the timeout.

        Args:
            session_id: which.
            request_id: of its own request, as :meth:`move` gave it.
            generation: of the runner that was to end.
            timeout_s: how long to wait.

        Raises:
            NotMoved: the host cannot have it; it goes on where it was.
        """
        deadline = monotonic() + timeout_s
        while True:
            async with self._database.pool.acquire() as connection:
                outcome = await requests.outcome(connection, request_id)
                (found,) = await sessions.views(connection, ids=[session_id], ended=True) or (None,)
            if outcome and outcome.state == "refused":
                raise NotMoved(session=naming.short(session_id), reason=outcome.detail)
            runs = found and found.state is SessionState.RUNNING and found.generation > generation
            if runs or monotonic() >= deadline:
                return found
            await asyncio.sleep(_LOOK_SECONDS)

    async def _move(self, session: SessionView, host: str, request_id: str) -> None:
        message = MoveSignal(request_id=request_id, generation=session.generation, host=host)
        if not await self._signal(session.session_id, "move", message):
            await self._take_up(session, "move", message)


def _destination(session: SessionView, room: dict[str, int], wished: str | None) -> str:
    """Where a session moves to; it counts as a runner there from then on.

    Raises:
        NotMoved: there is no such host.
    """
    short = naming.short(session.session_id)
    others: Sequence[str] = [name for name in sorted(room, key=lambda name: room[name]) if name != session.host]
    if wished is not None and wished == session.host:
        raise NotMoved(session=short, reason=f"it is on {wished} already")
    if wished is not None and wished not in room:
        there = f"; these do: {', '.join(others)}" if others else ""
        reason = f"the host {wished} is unknown, away or draining, and takes no runners{there}"
        raise NotMoved(session=short, reason=reason)
    if not others:
        raise NotMoved(session=short, reason="no other host takes runners")
    chosen = wished or others[0]
    room[chosen] += 1
    return chosen
