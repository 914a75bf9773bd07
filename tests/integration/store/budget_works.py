"""What is done to budgets in their test, as work for a database; each tells the model of it when it is over."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st

from stratavore.agents.conversation import Reply, Tokens
from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.models.steps import Admission, AdmitRequest
from stratavore.store import budgets, sessions, usage
from stratavore.store.budgets import Crossing
from stratavore.store.database import Database
from stratavore.store.usage import Used
from tests.integration.store.budget_model import Kept, Model, Scope, price
from tests.integration.store.steps import do

Result = TypeVar("Result")
Work = Callable[[Database], Awaitable[Result]]
Change = tuple[int, Budget | Decimal | None, bool]
"""A scope, what its budget becomes or is given, and whether it is taken away."""
Death = tuple[int, bool] | None
"""After how many statements a process dies, or its connection."""
Told = tuple[int, str, int, int]
"""Whose reply, which one, its tokens as they are now, and how many hours ago it was."""

ZONE = {Period.HOURLY: "Asia/Kolkata", Period.DAILY: "America/Bogota", Period.WEEKLY: "UTC"}
"""Without changes of their clocks: what is a week older is in a period of its own."""

WHO = st.integers(0, 3)
SCOPE = st.integers(0, 6)
DEATHS_OF_ONE = st.none() | st.tuples(st.integers(0, 8), st.booleans())
REPLIES = st.lists(
    st.tuples(WHO, st.sampled_from("abc"), st.integers(0, 40), st.sampled_from([0, 0, 0, 2, 30, 200])), max_size=6
)
BUDGETS = st.builds(
    Budget,
    unit=st.sampled_from(Unit),
    period=st.sampled_from(list(ZONE)),
    amount=st.integers(1, 120).map(Decimal),
    warn_at=st.sampled_from([Decimal("0.5"), Decimal("0.8"), Decimal(1)]),
    action=st.sampled_from(Action),
    grace=st.sampled_from([timedelta(0), timedelta(hours=1)]),
).map(lambda budget: replace(budget, timezone=ZONE[budget.period]))
MORE = st.none() | st.integers(1, 60).map(Decimal)
CHANGE = st.tuples(SCOPE, BUDGETS | BUDGETS | MORE, st.sampled_from([False, False, False, True]))


class Works:
    """Work of agents and people on a few sessions. Its result is called when it is over, and tells the model of it.

    Args:
        model: is told.
        ids: the sessions.
        scopes: that budgets are of.
    """

    def __init__(self, model: Model, ids: Sequence[str], scopes: Sequence[Scope]) -> None:
        self._model = model
        self._ids = ids
        self._scopes = scopes

    def reading(self, replies: list[Told]) -> Work[Callable[[], None]]:
        """Replies as a host's monitor stores them."""
        found: dict[tuple[str, str], Used] = {}
        for who, message, tokens, hours in replies:
            at = datetime.now(UTC) - timedelta(hours=hours)
            reply = Reply(id=f"{message}{hours}", model=None, at=at, tokens=Tokens(input=tokens))
            id_ = self._ids[who]
            found[id_, reply.id] = Used(f"{id_}.1", id_, reply, price(tokens))

        async def read(database: Database) -> Callable[[], None]:
            async with database.transaction("test") as transaction:
                for id_ in sorted({one.session_id for one in found.values()}):
                    assert await sessions.lock(transaction.connection, id_)
                await usage.add(transaction.connection, found.values())
            return known

        def known() -> None:
            for one in found.values():
                self._model.reply(one.session_id, one.reply.id, one.reply.at, one.reply.tokens.total)

        return read

    def changing(self, number: int, value: Budget | Decimal | None, gone: bool) -> Work[Callable[[], None]]:
        """A change of a scope's budgets."""
        scope = self._scopes[number]
        mine = [one for one in self._model.budgets.values() if one.scope == scope]

        async def change(database: Database) -> Callable[[], None]:
            async with database.transaction("test") as transaction:
                connection = transaction.connection
                if gone:
                    assert set(await budgets.unset(connection, *scope)) == {one.budget_id for one in mine}
                    return self._gone(mine)
                if isinstance(value, Budget):
                    return self._set(await budgets.set_budget(connection, *scope, value), scope, value)
                await budgets.lock(connection)
                extra = {}
                for one in await budgets.views(connection, *scope):
                    more = value if one.used_up else None  # an approval, or else a reset
                    await budgets.give(connection, one.budget_id, more)
                    left = Decimal(one.amount) if more is None else more
                    extra[one.budget_id] = Decimal(str(one.used)) + left - Decimal(one.amount)
                return self._given(mine, extra)

        return change

    def _gone(self, mine: list[Kept]) -> Callable[[], None]:
        def known() -> None:
            for one in mine:
                del self._model.budgets[one.budget_id]

        return known

    def _set(self, id_: str, scope: Scope, budget: Budget) -> Callable[[], None]:
        def known() -> None:
            kept = self._model.budgets.setdefault(id_, Kept(id_, scope, budget))
            kept.budget = budget
            kept.begin(self._model.periods[id_][0], Decimal(0))

        return known

    def _given(self, mine: list[Kept], extra: dict[str, Decimal]) -> Callable[[], None]:
        def known() -> None:
            for one in mine:
                one.begin(self._model.periods[one.budget_id][0], extra[one.budget_id])

        return known


async def cross(database: Database) -> list[Crossing]:
    async with database.transaction("test") as transaction:
        return await budgets.cross(transaction.connection)


def asking(request: AdmitRequest) -> Work[Admission]:
    async def ask(database: Database) -> Admission:
        answer = await do(database, request)
        assert isinstance(answer, Admission)
        return answer

    return ask
