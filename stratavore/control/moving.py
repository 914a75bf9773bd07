"""Moving sessions to other hosts."""

import asyncio
from collections.abc import Collection, Mapping
from time import monotonic
from typing import Any
from uuid import UUID, uuid5

from stratavore import naming, targets
from stratavore.control.answering import answered, heard
from stratavore.control.god import God
from stratavore.control.hosts import known_host
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
            id of its own request; and those that cannot move now, each with its ``refusal``: why, in one clause.

        Raises:
            UnknownHost: there is no host that could be left.
            NotMoved: the only session that is meant cannot move. Nothing was asked then.
        """
        found, there, room = await answered(self._there(target, leave), server="Postgres", so="nothing was moved")
        running = [one for one in found if one.state is SessionState.RUNNING and leave in (None, one.host)]
        if target and not running:
            raise wrong_state(target, found, "move")
        asked = [Asked(one, request_id, room, host) for one in running]
        if target and len(asked) == 1 and asked[0].refusal:
            raise NotMoved(session=naming.short(asked[0].session.session_id), reason=asked[0].refusal)
        await self._as_god(god, "move", [one.session_id for one in running])
        await heard(self._move(one) for one in asked if one.host)
        held_up = [] if target else [one for one in found if one.session_id in there and one not in running]
        return [one.told for one in asked] + [_held_up(one) for one in held_up]

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

    async def _there(self, target: str | None, leave: str | None) -> tuple[list[SessionView], set[str], dict[str, int]]:
        """Sessions that are meant, those that stand and fall with the host they leave, and hosts that take any."""
        async with self._database.pool.acquire() as connection:
            if leave is not None:
                await known_host(connection, leave)
            found = await targets.all_of(connection, target) if target else await sessions.views(connection)
            there = {one.session_id for one in await hosts.dependents(connection, leave)} if leave else set()
            known = await hosts.views(connection)
        return found, there, {one.host: one.runners for one in known if one.lease_s > 0 and not one.draining}

    async def _move(self, asked: "Asked") -> None:
        session, host = asked.session, asked.host
        assert host is not None
        message = MoveSignal(request_id=asked.request_id, generation=session.generation, host=host)
        await self._ask(session, "move", message)


class Asked:
    """A running session that is to move: where to, or why it does not."""

    def __init__(self, session: SessionView, request_id: str, room: dict[str, int], wished: str | None) -> None:
        """``room``: how many runners the hosts have that take any; one that is chosen has one more from then on."""
        self.session = session
        self.request_id = str(uuid5(UUID(request_id), session.session_id))
        self.refusal = _refusal(session, room, wished)
        self.host: str | None = None
        if not self.refusal:
            others = (name for name in sorted(room, key=lambda name: room[name]) if name != session.host)
            self.host = wished or next(others)
            room[self.host] += 1

    @property
    def told(self) -> dict[str, Any]:
        """For who asked."""
        return {
            "session_id": self.session.session_id,
            "host": self.host,
            "generation": self.session.generation,
            "request_id": self.request_id,
            "refusal": self.refusal,
        }


def _refusal(session: SessionView, room: Collection[str], wished: str | None) -> str | None:
    """Why there is no host that it could move to; None: there is one."""
    others = sorted(name for name in room if name != session.host)
    if wished is not None and wished == session.host:
        return f"it is on {wished} already"
    if wished is not None and wished not in room:
        there = f"; these do: {', '.join(others)}" if others else ""
        return f"the host {wished} is unknown, away or draining, and takes no runners{there}"
    if not others:
        return (
            "no other host takes runners; start a daemon on another machine, or let one that drains take runners again"
        )
    return None


def _held_up(session: SessionView) -> dict[str, Any]:
    """One that is on the host and does not run: it can be asked later, or goes on there."""
    short = naming.short(session.session_id)
    reason = (
        f"{session.reason}; it goes on when the host is back, or elsewhere after: "
        f"stratavore hosts delete {session.host} --force"
        if session.state is SessionState.UNREACHABLE
        else f"it is {session.state}; once it runs: stratavore move {short}"
    )
    return {
        "session_id": session.session_id,
        "host": None,
        "generation": session.generation,
        "request_id": None,
        "refusal": reason,
    }
