"""Limits that the configuration of a host names: global ones, as long as its daemon starts with them."""

import asyncio
from collections.abc import Mapping
from uuid import uuid4

from stratavore import quotas
from stratavore.control.reach import Reach
from stratavore.events.envelope import EventType, NewEvent
from stratavore.project_names import GLOBAL
from stratavore.store import admission, limits


class ConfiguredLimits(Reach):
    """Brings the limits and a configuration together, at a daemon's start."""

    @property
    def source(self) -> str:
        """As what sets these limits is shown."""
        return f"configuration of host {self._host}"

    async def apply(self, wanted: Mapping[str, int | None]) -> list[str]:
        """Set what is wanted; take away what this host's configuration had set and names no longer.

        The last daemon that starts wins, over other hosts' configurations and over people; an event tells what changed.

        Args:
            wanted: by name of the limit; None: the configuration does not say.

        Returns:
            What changed: a sentence each.
        """
        changes = []
        async with self._database.transaction("quota.configure") as transaction:
            connection = transaction.connection
            before = await limits.lock_global(connection)
            for name in quotas.NAMES:
                value, was = wanted.get(name), before.get(name)
                if value is None and (was is None or was.source != self.source):
                    continue
                await limits.set_limit(connection, GLOBAL, "", name, value, self.source)
                if was is None or was.value != value:
                    changes.append(self._told(name, value, was))
            if changes:
                data = {"severity": "info", "message": "; ".join(changes), "host": self._host}
                transaction.emit(NewEvent(None, f"quotas/{uuid4()}", EventType.SYSTEM_ALERT, "", data))
            granted = await admission.grant(connection)
        await asyncio.gather(*map(self._wake, granted))
        return changes

    def _told(self, name: str, value: int | None, was: limits.Limit | None) -> str:
        now = "is not limited any more" if value is None else f"is {value} now"
        before = f"; it was {was.value}, set by {was.source or 'a person'}" if was else ""
        return f"{name} {now}, by the {self.source}{before}"
