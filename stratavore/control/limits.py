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
    """How much may run at once, and may be used."""

    async def show_quotas(self, project: str | None = None) -> list[QuotaView]:
        """Limits and what is used of them: all that are set, or those that concern a project or a session.

        Args:
            project: the one, or a session by the beginning of its id; None: everything.
        """
        async with self._database.pool.acquire() as connection:
            scope = await targets.scope(connection, project or GLOBAL)
            if scope.name != "session":
                shared = await limits.views(connection, project)
                return shared + await limits.views_of_sessions(connection, project)
            own = await limits.views_of_sessions(connection, session_id=scope.id)
            return await limits.views(connection, own[0].project) + own

    async def set_quota(
        self, project: str | None, name: str, value: int | None, god: Mapping[str, Any] | None = None
    ) -> list[QuotaView]:
        """Set a limit (None: take it away), and let in who has room now.

        Args:
            project: of which one, or of which session, by the beginning of its id; None: of everything together.
            name: in either spelling.
            value: in the limit's unit; None: no limit.
            god: the operator who asks: that may change what a configuration names, until its daemon's next start.

        Raises:
            LimitOfConfiguration: a configuration names it.
            InvalidInput: a session cannot have that limit.
        """
        quota = quotas.find_quota(name)
        quotas.check_value(quota, value)
        operator = self._operator(god)
        async with self._database.transaction("quota.set") as transaction:
            connection = transaction.connection
            scope = await targets.scope(connection, project or GLOBAL)
            if scope.name == "session":
                quotas.check_of_session(quota)
            if operator:
                of_project = project or "" if scope.name == "project" else ""
                self._record_god(
                    transaction, operator, "quotas set", [f"{project or GLOBAL} {quota.short}"], of_project
                )
            elif source := await limits.source(connection, *scope, quota.name):
                raise LimitOfConfiguration(limit=quota.short, source=source)
            await limits.set_limit(connection, *scope, quota.name, value)
            granted = await admission.grant(connection)
        # A session whose own limit was changed asks whether it is held: it may wait for it, or has to from now on.
        woken = (*granted, scope.id) if scope.name == "session" else granted
        await asyncio.gather(*map(self._wake, woken))
        return await self.show_quotas(project)
