"""What budgets must be, kept beside the database in plain Python, slowly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from stratavore.budgets import Action, Budget, Unit
from stratavore.models.states import SessionState

Moment = datetime
Scope = tuple[str, str]
"""Its kind, and the id of the project or session."""
_TAKES = (Action.TERMINATE, Action.ASK, Action.PAUSE)
"""Of several that hold a session the first of these counts."""
HELD_AS = {
    Action.PAUSE: SessionState.LIMITED,
    Action.ASK: SessionState.ASKING,
    Action.TERMINATE: SessionState.ENDED,
}


@dataclass(frozen=True)
class Spent:
    """A reply, at its largest."""

    at: Moment
    tokens: int

    @property
    def dollars(self) -> Decimal:
        """At the price of these tests."""
        return price(self.tokens)


def price(tokens: int) -> Decimal:
    """A quarter of a dollar each."""
    return Decimal(tokens) / 4


@dataclass
class Kept:
    """A budget, and what became of its periods, by their start."""

    budget_id: str
    scope: Scope
    budget: Budget
    extra: dict[Moment, Decimal] = field(default_factory=dict)
    warned: set[Moment] = field(default_factory=set)
    reached: set[Moment] = field(default_factory=set)

    def begin(self, start: Moment, extra: Decimal) -> None:
        """So much more from now on; it can warn and end anew."""
        self.extra[start] = extra
        self.warned.discard(start)
        self.reached.discard(start)

    def limit(self, start: Moment) -> Decimal:
        """How much may be used in a period."""
        return self.budget.amount + self.extra.get(start, Decimal(0))


class Model:
    """Replies and budgets of a few sessions.

    Args:
        projects: of each session.
    """

    def __init__(self, projects: Mapping[str, str]) -> None:
        self.projects = projects
        self.replies: dict[tuple[str, str], Spent] = {}
        """By session and message."""
        self.budgets: dict[str, Kept] = {}
        self.passes: set[tuple[str, Moment, str]] = set()
        """Budget, period and session."""
        self.periods: dict[str, tuple[Moment, Moment]] = {}
        """The present one of each budget, by the clock of Postgres."""

    def reply(self, session: str, message: str, at: Moment, tokens: int) -> None:
        """A reply was read; its first time and its largest count remain."""
        known = self.replies.get((session, message), Spent(at, 0))
        self.replies[session, message] = Spent(known.at, max(known.tokens, tokens))

    def used(self, one: Kept) -> Decimal:
        """What is used of a budget in its present period."""
        start, end = self.periods[one.budget_id]
        spent = [
            reply
            for (session, _), reply in self.replies.items()
            if one.scope in self._under(session) and start <= reply.at < end
        ]
        if one.budget.unit is Unit.TOKENS:
            return Decimal(sum(reply.tokens for reply in spent))
        return sum((reply.dollars for reply in spent), Decimal(0))

    def used_up(self, one: Kept) -> bool:
        """Whether nothing is left."""
        return self.used(one) >= one.limit(self.periods[one.budget_id][0])

    def warns(self, one: Kept) -> bool:
        """Whether so much is used that it warns."""
        return self.used(one) >= one.limit(self.periods[one.budget_id][0]) * one.budget.warn_at

    def holding(self, session: str) -> list[Kept]:
        """The budgets that hold a session now."""
        return [
            one
            for one in self.budgets.values()
            if one.scope in self._under(session)
            and one.budget.action is not Action.WARN
            and self.used_up(one)
            and (one.budget_id, self.periods[one.budget_id][0], session) not in self.passes
        ]

    def hold(self, session: str) -> SessionState | None:
        """As what a session is held now; None: it is not."""
        actions = [one.budget.action for one in self.holding(session)]
        return next((HELD_AS[action] for action in _TAKES if action in actions), None)

    def pass_by(self, session: str) -> None:
        """An operator lets it go on."""
        self.passes |= {(one.budget_id, self.periods[one.budget_id][0], session) for one in self.holding(session)}

    def later(self, by: timedelta) -> None:
        """So much time passes: everything that was is as much older."""
        self.replies = {key: Spent(reply.at - by, reply.tokens) for key, reply in self.replies.items()}
        self.passes = {(budget, start - by, session) for budget, start, session in self.passes}
        for one in self.budgets.values():
            one.extra = {start - by: extra for start, extra in one.extra.items()}
            one.warned = {start - by for start in one.warned}
            one.reached = {start - by for start in one.reached}

    def crossing(self) -> dict[str, tuple[bool, bool]]:
        """Of which budgets is to be told now that they warn, and that they are used up."""
        found = {}
        for one in self.budgets.values():
            start, _ = self.periods[one.budget_id]
            tells = (self.warns(one) and start not in one.warned, self.used_up(one) and start not in one.reached)
            if any(tells):
                found[one.budget_id] = tells
        return found

    def _under(self, session: str) -> tuple[Scope, Scope, Scope]:
        return ("global", ""), ("project", self.projects[session]), ("session", session)
