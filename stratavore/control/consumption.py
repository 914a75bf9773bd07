"""What is used: tokens, memory, processors; and of what the machine is made up."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import date, datetime
from typing import Literal, TypeVar, get_args

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from stratavore import machine, targets
from stratavore.control.reach import Reach
from stratavore.errors import InvalidInput
from stratavore.models.views import DaySpentView, ModelUsageView, ResourcesView, SpentView
from stratavore.store import health, hosts, projects, usage

T = TypeVar("T")
By = Literal["project", "session", "model", "day"]
PATIENCE = 3.0
"""Seconds that a server may take to say its version."""


class Consumption(Reach):
    """Counts and measures."""

    async def session_usage(self, session_id: str) -> list[ModelUsageView]:
        """What a session used, by model."""
        async with self._database.pool.acquire() as connection:
            return await usage.by_model(connection, session_id)

    async def show_tokens(
        self, by: By = "project", since: str | None = None, project: str | None = None
    ) -> list[SpentView]:
        """What was used, by project, session, model or day (of UTC).

        Args:
            by: by what it is counted.
            since: a time in ISO 8601, with its offset from UTC; None: ever since.
            project: of this project only.
        """
        if by not in get_args(By):
            raise InvalidInput(reason=f"Tokens are counted by {', '.join(get_args(By))}, not by '{by}'")
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await usage.spent(connection, by, _time(since), project)

    async def export_tokens(
        self, since: str | None = None, until: str | None = None, project: str | None = None
    ) -> list[DaySpentView]:
        """What each session used of each model on each day (of UTC), in order.

        Args:
            since: the first day, as ``2026-01-31``; None: from the beginning.
            until: the last day, included; None: to the end.
            project: of this project only.
        """
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await usage.spent_by_day(connection, _day(since), _day(until), project)

    async def show_resources(self) -> ResourcesView:
        """What runners use on each host and in each project, and what their machines have; this one is measured now."""
        here = await asyncio.to_thread(machine.measure, self._home.root)
        async with self._database.pool.acquire() as connection:
            known = await hosts.views(connection)
            of_projects = await projects.resources(connection)
        return ResourcesView(
            hosts=tuple(one.model_copy(update={"machine": here}) if one.host == self._host else one for one in known),
            projects=tuple(of_projects),
        )

    async def server_versions(self) -> dict[str, str | None]:
        """The versions of Temporal, Postgres and pgvector; None of one that does not say."""
        postgres = await _said(self._postgres_versions())
        return {
            "temporal": await _said(self._temporal_version()),
            "postgres": postgres.postgres if postgres else None,
            "pgvector": postgres.pgvector if postgres else None,
        }

    async def _temporal_version(self) -> str:
        return (await self._client.workflow_service.get_system_info(GetSystemInfoRequest())).server_version

    async def _postgres_versions(self) -> health.Versions:
        async with self._database.pool.acquire() as connection:
            return await health.versions(connection)


async def _said(answer: Awaitable[T]) -> T | None:
    """An answer, if it comes: that a server is away is no reason to tell nothing of the others."""
    with suppress(Exception):
        return await asyncio.wait_for(answer, PATIENCE)
    return None


def _day(said: str | None) -> date | None:
    try:
        return None if said is None else date.fromisoformat(said)
    except ValueError:
        raise InvalidInput(reason=f"'{said}' is no day: say one like 2026-01-31") from None


def _time(since: str | None) -> datetime | None:
    if since is None:
        return None
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput(reason=f"'{since}' is no time in ISO 8601 with its offset from UTC")
    return found
