"""What is going on, and what happened."""

from collections.abc import Iterable

from stratavore import targets
from stratavore.control.reach import Reach
from stratavore.models.states import SessionState
from stratavore.models.views import EventView, StatusView
from stratavore.store import budgets, events, limits, projects, sessions, transcripts


class Overview(Reach):
    """All projects and sessions at once."""

    async def status(self) -> StatusView:
        """Counts, and the live sessions."""
        async with self._database.pool.acquire() as connection:
            live = await sessions.views(connection)
            count = len(await projects.names(connection))
            undelivered = await events.undelivered(connection)
            health = await transcripts.health(connection)
            quotas = [*await limits.views(connection), *await limits.views_of_sessions(connection)]
            known_budgets = await budgets.views(connection)
        ids = {one.session_id for one in live}
        running = [one for one in live if one.state is SessionState.RUNNING]
        return StatusView(
            projects=count,
            sessions=_count(one.state for one in live),
            activities=_count(one.activity for one in running),
            waiting_in_line=sum(one.position is not None for one in live),
            events_undelivered=undelivered,
            live=tuple(live),
            health=tuple(health),
            limits=tuple(one for one in quotas if one.limit is not None),
            budgets=tuple(one for one in known_budgets if one.session_id is None or one.session_id in ids),
        )

    async def list_events(
        self, project: str | None = None, pattern: str | None = None, limit: int = 100
    ) -> list[EventView]:
        """The latest events, oldest first."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await events.views(connection, project=project, pattern=pattern, limit=limit)

    async def revive_events(self) -> dict[str, int]:
        """Let the relays send again what RabbitMQ refused. Returns how many events that are."""
        async with self._database.transaction("events.revive") as transaction:
            return {"revived": await events.revive(transaction.connection)}


def _count(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts
