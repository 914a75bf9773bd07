"""A period of limits that begins anew, when a schedule says so."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from stratavore.control.held import Held
from stratavore.errors import ClockBehind
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.resets import ResetDone, ResetStep
from stratavore.store import admission, budgets, limits
from stratavore.store.budgets import Begun

AT_ONCE = 20
"""Sessions that are let in together."""
PAUSE_SECONDS = 1.0
"""Between those and the next ones: about what a host takes to start as many."""


class Resets(Held):
    """Lets in who waited for the next day, in their order and a few at a time."""

    async def reset_quotas(self, step: ResetStep) -> ResetDone:
        """Let in who waited for the day that has come by the step's time. Repeated, it goes on where it stopped.

        What is used of a day is counted by Postgres' own date, so nothing is set to zero: somebody only has to look.

        Raises:
            ClockBehind: by Postgres' clock the day has not come yet.
        """
        day = step.due.astimezone(UTC).date()
        async with self._database.transaction("quota.reset") as transaction:
            today = await limits.today(transaction.connection)
            if today < day:
                raise ClockBehind(period=str(day))
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
        free = await self._wake_free(pause=PAUSE_SECONDS)
        return ResetDone(period=str(today), let_in=let_in + free)

    async def reset_budgets(self, step: ResetStep) -> ResetDone:
        """Let go on who waited for the next period of budgets. Repeated, it goes on where it stopped.

        A charge finds its period by its time, so nothing is set to zero; each budget's new period is told once.

        Raises:
            ClockBehind: by Postgres' clock the period has not come yet.
        """
        async with self._database.transaction("budgets.begin") as transaction:
            connection = transaction.connection
            starts_at, due = await budgets.periods(connection, step.period, step.timezone, step.due)
            if starts_at < due:
                raise ClockBehind(period=str(due))
            for one in await budgets.begun(connection, step.period, step.timezone):
                transaction.emit(_begun(one, starts_at))
        free = await self._wake_free(pause=PAUSE_SECONDS)
        return ResetDone(period=f"{starts_at.astimezone(ZoneInfo(step.timezone)):%Y-%m-%d %H:%M}", let_in=free)

    async def _wake_in_order(self, sessions: Iterable[str]) -> None:
        for session_id in sessions:
            await self._wake(session_id)


def _begun(one: Begun, starts_at: datetime) -> NewEvent:
    data = {
        "budget_id": one.budget_id,
        "scope": one.scope,
        "scope_id": one.scope_id,
        "unit": one.unit,
        "period": one.period,
        "starts_at": starts_at.isoformat(),
        "amount": float(one.amount),
        "used_before": float(one.used_before),
    }
    return NewEvent(
        None, f"budget/{one.budget_id}/{starts_at.isoformat()}/begun", EventType.BUDGET_RESET, one.project, data
    )
