"""Sessions that a limit held, and that may go on."""

import asyncio

from stratavore.control.reach import Reach
from stratavore.store import holds

AT_ONCE = 20
"""Sessions that are woken together."""


class Held(Reach):
    """Wakes them. Who is not told, since a daemon died, is told by the next upkeep."""

    async def _wake_free(self, pause: float = 0.0) -> int:
        """Wake those that nothing holds any more, in the order in which they were put away.

        Args:
            pause: seconds between a few of them and the next ones.

        Returns:
            How many there were.
        """
        async with self._database.pool.acquire() as connection:
            free = await holds.free(connection)
        for first in range(0, len(free), AT_ONCE):
            if first:
                await asyncio.sleep(pause)
            await asyncio.gather(*map(self._wake, free[first : first + AT_ONCE]))
        return len(free)
