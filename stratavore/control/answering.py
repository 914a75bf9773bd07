"""Servers that take what they are asked and say nothing: stopped, or behind a network that drops all.

Whoever asks for a person hears of it soon, and what became of that which was asked for.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from temporalio.service import RPCError

from stratavore import connect
from stratavore.errors import ServerSilent
from stratavore.store.connection import AWAY

T = TypeVar("T")

ANSWER_SECONDS = 10.0
"""What takes a few milliseconds has failed by then."""
A_SIGNAL_SECONDS = 0.05
"""At most, of many that are sent at once."""
_UNHEARD = "nobody knows whether it was heard, so look before you ask again, with: stratavore sessions"
"""What follows for who asked for something that is not the same if it is done twice."""


async def answered(work: Coroutine[Any, Any, T], *, server: str, so: str, seconds: float = ANSWER_SECONDS) -> T:
    """What comes of a few questions to a server.

    Args:
        work: asks them. It is called off, and not waited for: giving a silent connection back takes a minute.
        server: which one is mostly asked: it is named if none answers, and whichever failed if one fails.
        so: what follows for who asked if it does not answer.
        seconds: how long it may take.

    Raises:
        ServerSilent: it did not answer in time, or failed.
    """
    asking = asyncio.ensure_future(work)
    try:
        await asyncio.wait({asking}, timeout=seconds)
    except asyncio.CancelledError:
        asking.cancel()
        raise
    if not asking.done():
        asking.add_done_callback(_hear)
        asking.cancel()
        raise ServerSilent(server=server, how=f"does not answer for {seconds:.0f} s", so=so)
    try:
        return asking.result()
    except (RPCError, *AWAY) as error:
        failed = connect.failure(error)
        assert failed is not None
        reason = failed.details.get("reason", "its disk is full")
        which = "Temporal" if isinstance(error, RPCError) else "Postgres"
        raise ServerSilent(server=which, how=f"failed in the middle of it ({reason})", so=so) from error


async def heard(asking: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Ask workflows for something, all at once.

    Raises:
        ServerSilent: nobody knows whether all of them heard it.
    """
    asked = list(asking)
    seconds = ANSWER_SECONDS + A_SIGNAL_SECONDS * len(asked)
    await answered(_together(asked), server="Temporal", so=_UNHEARD, seconds=seconds)


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)


def _hear(asked: "asyncio.Future[Any]") -> None:
    """Whatever it says now is too late for anybody."""
    if not asked.cancelled():
        asked.exception()
