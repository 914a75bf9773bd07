"""The use cases in this process, for when no daemon answers: what is asked waits in Temporal for one."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

from stratavore import connect
from stratavore.control import Control, open_control
from stratavore.models.base import as_json
from stratavore.paths import Home


class Direct:
    """A ``Control`` with an event loop of its own, kept for the calls of one command.

    Raises:
        DaemonAway: nothing was ever started for this state directory.
        ServerAway: Temporal or Postgres cannot be reached.
    """

    def __init__(self, home: Home) -> None:
        # Else Python prints what libraries log of lost connections, with their stacks. People are told in words.
        logging.getLogger().addHandler(logging.NullHandler())
        self._loop = asyncio.Runner()
        self._open = AsyncExitStack()
        try:
            self._control = self._loop.run(self._enter(home))
        except BaseException:
            self.close()
            raise

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """The result of one call, as JSON values."""
        try:
            return as_json(self._loop.run(self._run(method, params)))
        except Exception as error:
            failure = connect.failure(error)
            if failure is None:
                raise
            raise failure from error

    def close(self) -> None:
        """Close the connections and the event loop."""
        self._loop.run(self._open.aclose())
        self._loop.close()

    async def _enter(self, home: Home) -> Control:
        return await self._open.enter_async_context(open_control(home))

    async def _run(self, method: str, params: dict[str, Any]) -> Any:
        return await getattr(self._control, method)(**params)
