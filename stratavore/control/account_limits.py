"""Limits of providers that named no time: over, once one of the account's agents was answered."""

from stratavore.control.held import Held
from stratavore.store import accounts

LOOK_SECONDS = 1.0


class AccountLimits(Held):
    """Lifts them."""

    async def lift(self) -> None:
        """Lift those of accounts of which an agent of this host was answered since, and wake who waits."""
        async with self._database.pool.acquire() as connection:
            lifted = await accounts.answered(connection, self._host)
        if lifted:
            await self._wake_free()
