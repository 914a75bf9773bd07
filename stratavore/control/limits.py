"""Limits."""

from stratavore import quotas, targets
from stratavore.control.reach import Reach
from stratavore.models.session import GrantSignal
from stratavore.models.views import QuotaView
from stratavore.store import admission, limits


class Limits(Reach):
    """How much may run at once."""

    async def show_quotas(self, project: str | None = None) -> list[QuotaView]:
        """Limits and what is used of them."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await limits.views(connection, project)

    async def set_quota(self, project: str | None, name: str, value: int | None) -> list[QuotaView]:
        """Set a limit (None: take it away), and let in who has room now."""
        quota = quotas.find_quota(name)
        quotas.check_value(quota, value)
        async with self._database.transaction("quota.set") as transaction:
            connection = transaction.connection
            found = await targets.project(connection, project) if project else None
            await limits.set_limit(connection, found.project_id if found else None, quota.name, value)
            granted = await admission.grant(connection)
        for session_id in granted:
            await self._signal(session_id, "grant", GrantSignal())
        return await self.show_quotas(project)
