"""Budgets, and the approvals that they wait for."""

import logging
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from temporalio.service import RPCError

from stratavore import budgets as words
from stratavore import targets
from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.control.answering import answered, heard
from stratavore.control.god import God
from stratavore.control.held import Held
from stratavore.errors import InvalidInput, NoSuchBudget, NotAsking, NotHeld
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Hold, HoldSignal
from stratavore.models.states import HELD_STATES, SessionState
from stratavore.models.views import BudgetPeriodView, BudgetView, SessionView
from stratavore.naming import short
from stratavore.near_names import did_you_mean
from stratavore.servers import schedules
from stratavore.store import budgets, events
from stratavore.store.connection import Connection
from stratavore.store.database import Transaction

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=StrEnum)


class Budgets(God, Held):
    """How much may be spent."""

    async def show_budgets(self, target: str | None = None) -> list[BudgetView]:
        """Budgets in their present periods: all, or those of a target."""
        async with self._database.pool.acquire() as connection:
            return await budgets.views(connection, *await _scope(connection, target))

    async def budget_history(self, target: str | None = None, most: int = 100) -> list[BudgetPeriodView]:
        """What was charged in the latest periods."""
        async with self._database.pool.acquire() as connection:
            return await budgets.history(connection, *await _scope(connection, target), most)

    async def set_budget(
        self,
        target: str,
        unit: str,
        amount: str,
        period: str,
        timezone: str = "UTC",
        warn_at: str = str(words.WARN_AT),
        action: str = Action.PAUSE,
        grace_s: float = words.GRACE.total_seconds(),
    ) -> list[BudgetView]:
        """Set the budget of a target for a unit and a period; what was used in its present period counts.

        Args:
            target: a project, a session, or ``global``.
            unit: tokens or usd.
            amount: in that unit, as a decimal.
            period: hourly, daily, weekly or monthly.
            timezone: whose clock its periods follow.
            warn_at: share of it at which an event warns.
            action: warn, pause, ask or terminate.
            grace_s: seconds that a turn under way has at the limit.

        Raises:
            InvalidInput: a value is none of its kind, or out of range.
        """
        budget = words.checked(
            Budget(
                _one_of(Unit, unit),
                _one_of(Period, period),
                _decimal(amount),
                timezone,
                _decimal(warn_at),
                _one_of(Action, action),
                timedelta(seconds=grace_s),
            )
        )
        async with self._database.transaction("budget.set") as transaction:
            scope = await targets.scope(transaction.connection, target)
            await budgets.set_budget(transaction.connection, scope.name, scope.id, budget)
        try:
            await schedules.have_resets(self._client, [(budget.period, budget.timezone)])
        except RPCError as error:  # the next upkeep makes it; who is held looks by itself after the period's end
            log.warning("the schedule of a budget's resets was not made yet: %s", error)
        await self._wake_free()
        return await self.show_budgets(target)

    async def unset_budget(self, target: str, unit: str | None = None, period: str | None = None) -> list[BudgetView]:
        """Take budgets of a target away; of one unit or one period only, if they are named.

        Raises:
            NoSuchBudget: it has none.
        """
        chosen_unit, chosen_period = _maybe(Unit, unit), _maybe(Period, period)
        async with self._database.transaction("budget.unset") as transaction:
            scope = await targets.scope(transaction.connection, target)
            if not await budgets.unset(transaction.connection, scope.name, scope.id, chosen_unit, chosen_period):
                raise NoSuchBudget(target=target)
        await self._wake_free()
        return await self.show_budgets(target)

    async def reset_budget(
        self, target: str, request_id: str, unit: str | None = None, period: str | None = None
    ) -> list[BudgetView]:
        """Begin budgets of a target anew before their time: their whole amount may be used from now on.

        Raises:
            NoSuchBudget: it has none.
        """
        chosen_unit, chosen_period = _maybe(Unit, unit), _maybe(Period, period)
        async with self._database.transaction("budget.reset") as transaction:
            connection = transaction.connection
            await budgets.lock(connection)
            scope = await targets.scope(connection, target)
            chosen = [
                one
                for one in await budgets.views(connection, scope.name, scope.id)
                if chosen_unit in (None, one.unit) and chosen_period in (None, one.period)
            ]
            if not chosen:
                raise NoSuchBudget(target=target)
            for one in chosen:
                await self._give(transaction, one, None, EventType.BUDGET_RESET, request_id)
        await self._wake_free()
        return await self.show_budgets(target)

    async def approve(
        self, target: str, request_id: str, unit: str | None = None, amount: str | None = None
    ) -> list[BudgetView]:
        """Let sessions go on that a budget holds: give it more, from now on until its period ends.

        Args:
            target: a session, a project with such sessions, or ``all``.
            request_id: a new UUID; repeated, nothing is given again.
            unit: give to budgets of this unit only.
            amount: how much; None: as much as each budget is.

        Returns:
            The budgets that were given more.

        Raises:
            NotHeld: none of the sessions is held by a budget.
        """
        chosen = _maybe(Unit, unit)
        more = None if amount is None else _decimal(amount)
        if more is not None:
            if chosen is None:
                raise InvalidInput(reason="An amount is one of tokens or of usd: say which")
            words.check_amount(chosen, more)
        async with self._database.transaction("budget.approve") as transaction:
            connection = transaction.connection
            await budgets.lock(connection)
            held = [one for one in await targets.meant(connection, target) if one.state in HELD_STATES]
            ids = {id_ for one in held for id_ in await budgets.holding_ids(connection, one.session_id)}
            given = [
                one
                for one in await budgets.views(connection)
                if (one.budget_id in ids and chosen in (None, one.unit))
                or await events.happened(connection, _given(one, EventType.BUDGET_APPROVED, request_id))
            ]
            if not given:
                raise NotHeld(target=target, unit=f" in {unit}" if unit else "")
            for one in given:
                await self._give(transaction, one, more, EventType.BUDGET_APPROVED, request_id)
        await self._wake_free()
        async with self._database.pool.acquire() as connection:
            now = await budgets.views(connection)
        return [one for one in now if one.budget_id in {other.budget_id for other in given}]

    async def deny(self, target: str, request_id: str) -> list[str]:
        """Put sessions away that wait for an approval: they go on when somebody resumes them.

        Returns:
            The sessions that were told.

        Raises:
            NotAsking: none of them waits for one.
        """
        asking = await answered(self._asking(target), server="Postgres", so="nothing was denied")
        if not asking:
            raise NotAsking(target=target)
        await heard(self._deny(one, request_id) for one in asking)
        return [one.session_id for one in asking]

    async def _asking(self, target: str) -> list[SessionView]:
        """Sessions that are meant and wait for an approval."""
        async with self._database.pool.acquire() as connection:
            return [one for one in await targets.meant(connection, target) if one.state is SessionState.ASKING]

    async def _deny(self, session: SessionView, request_id: str) -> None:
        reason = f"more was denied; run it again with: stratavore resume {short(session.session_id)}"
        hold = Hold(state=SessionState.PAUSED, reason=reason, cause=f"denied/{request_id}")
        await self._ask(session, "hold", HoldSignal(request_id=request_id, generation=session.generation, hold=hold))

    async def _give(
        self, transaction: Transaction, budget: BudgetView, more: Decimal | None, kind: EventType, request_id: str
    ) -> None:
        """Give once, however often it is asked for; the event says that it was."""
        key = _given(budget, kind, request_id)
        if await events.happened(transaction.connection, key):
            return
        await budgets.give(transaction.connection, budget.budget_id, more)
        data = {
            "budget_id": budget.budget_id,
            "scope": budget.scope,
            "session_id": budget.session_id,
            "unit": budget.unit,
            "period": budget.period,
            "starts_at": budget.starts_at.isoformat(),
            "used": budget.used,
            "more": budget.amount if more is None else float(more),
        }
        transaction.emit(NewEvent(None, key, kind, budget.project or "", data))


def _given(budget: BudgetView, kind: EventType, request_id: str) -> str:
    """The key of the event that a budget was given more."""
    return f"budget/{budget.budget_id}/{kind}/{request_id}"


async def _scope(connection: Connection, target: str | None) -> tuple[str | None, str]:
    """Of which budgets there is talk; of all, if no target is named."""
    if target is None:
        return None, ""
    scope = await targets.scope(connection, target)
    return scope.name, scope.id


def _one_of(kind: type[Kind], said: str) -> Kind:
    try:
        return kind(said)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidInput(reason=f"'{said}' is none of {known}{did_you_mean(said, list(kind))}") from None


def _maybe(kind: type[Kind], said: str | None) -> Kind | None:
    return None if said is None else _one_of(kind, said)


def _decimal(said: str) -> Decimal:
    try:
        found = Decimal(said)
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite():
        raise InvalidInput(reason=f"'{said}' is no number")
    return found
