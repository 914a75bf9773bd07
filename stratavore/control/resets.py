"""A day of limits that begins anew, when a schedule says so."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from stratavore.control.reach import Reach
from stratavore.errors import ClockBehind
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.resets import ResetDone
from stratavore.store import admission, holds, limits

AT_ONCE = 20
"""Sessions that are let in together."""
PAUSE_SECONDS = 1.0
"""Between those and the next ones: about what a host takes to start as many."""


class Resets(Reach):
    """Lets in who waited for the next day, in their order and a few at a time."""

    async def reset_quotas(self, due: datetime) -> ResetDone:
        """Let in who waited for the day that has come by ``due``. Repeated, it goes on where it stopped.

        What is used of a day is counted by Postgres' own date, so nothing is set to zero: somebody only has to look.

        Raises:
            ClockBehind: by Postgres' clock the day has not come yet.
        """
        day = due.astimezone(UTC).date()
        async with self._database.transaction("quota.reset") as transaction:
            today = await limits.today(transaction.connection)
            if today < day:
                raise ClockBehind(day=str(day))
            data = {"scope": "global", "day": str(today)}
            transaction.emit(NewEvent(None, f"quotas/reset/{today}", EventType.QUOTA_RESET, "", data))
            # Of a try that died, or of another grant whose owner did.
            unheard = await admission.unheard(transaction.connection)
        await self._wake_in_order(unheard)
        let_in = 0
        while True:
            async with self._database.transaction("quota.let_in") as transaction:
                granted = await admission.grant(transaction.connection, most=AT_ONCE)
            await self._wake_in_order(granted)
            let_in += len(granted)
            if len(granted) < AT_ONCE:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        return ResetDone(period=today, let_in=let_in + await self._wake_held())

    async def _wake_held(self) -> int:
        """Wake sessions that a limit of their own held: they ask for slots, as others do. Returns how many."""
        async with self._database.pool.acquire() as connection:
            free = await holds.free(connection)
        for first in range(0, len(free), AT_ONCE):
            await self._wake_in_order(free[first : first + AT_ONCE])
            await asyncio.sleep(PAUSE_SECONDS)
        return len(free)

    async def _wake_in_order(self, sessions: Iterable[str]) -> None:
        for session_id in sessions:
            await self._wake(session_id)
