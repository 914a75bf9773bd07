"""Limits."""

import asyncio
from collections.abc import Mapping
from typing import Any

from stratavore import quotas, targets
from stratavore.control.god import God
from stratavore.errors import LimitOfConfiguration
from stratavore.models.views import QuotaView
from stratavore.project_names import GLOBAL
from stratavore.store import admission, limits


class Limits(God):
    """How much may run at once."""

    async def show_quotas(self, project: str | None = None) -> list[QuotaView]:
        """Limits and what is used of them."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await limits.views(connection, project)

    async def set_quota(
        self, project: str | None, name: str, value: int | None, god: Mapping[str, Any] | None = None
    ) -> list[QuotaView]:
        """Set a limit (None: take it away), and let in who has room now.

        Args:
            project: of which one; None: of everything together.
            name: in either spelling.
            value: in the limit's unit; None: no limit.
            god: the operator who asks: that may change what a configuration names, until its daemon's next start.

        Raises:
            LimitOfConfiguration: a configuration names it.
        """
        quota = quotas.find_quota(name)
        quotas.check_value(quota, value)
        operator = self._operator(god)
        async with self._database.transaction("quota.set") as transaction:
            connection = transaction.connection
            found = await targets.project(connection, project) if project else None
            project_id = found.project_id if found else None
            if operator:
                self._record_god(
                    transaction, operator, "quotas set", [f"{project or GLOBAL} {quota.short}"], project or ""
                )
            elif source := await limits.source(connection, project_id, quota.name):
                raise LimitOfConfiguration(limit=quota.short, source=source)
            await limits.set_limit(connection, project_id, quota.name, value)
            granted = await admission.grant(connection)
        await asyncio.gather(*map(self._wake, granted))
        return await self.show_quotas(project)
