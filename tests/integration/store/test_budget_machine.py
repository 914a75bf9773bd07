"""Whatever agents, people, time and crashes do, in any order and at once: budgets count right, and hold who must be."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stratavore.models.states import Activity, SessionState
from stratavore.store.budgets import Crossing
from stratavore.store.database import Database
from tests.integration.store.budget_model import Model, Scope, price
from tests.integration.store.budget_workflows import Standing, Workflows
from tests.integration.store.budget_works import (
    CHANGE,
    DEATHS_OF_ONE,
    REPLIES,
    WHO,
    Change,
    Death,
    Result,
    Told,
    Work,
    Works,
    asking,
    cross,
)
from tests.integration.store.dying import DEATHS, DyingDatabase
from tests.integration.store.steps import KEY, OPERATOR, Session, Store
from tests.support import servers
from tests.support.stacks import Stack

WEEK = timedelta(days=7)
PERIOD_MARGIN = timedelta(seconds=40)
"""An example is done in less: the clock begins no new period in the middle of it."""


class Machine(RuleBasedStateMachine):
    """Four sessions of two projects, on one host."""

    def __init__(self, store: Store, runner: asyncio.Runner) -> None:
        super().__init__()
        self._store = store
        self._run = runner.run

    @initialize()
    def four_sessions(self) -> None:
        async def make() -> list[Session]:
            await _far_from_a_new_period()
            projects = [await self._store.project(f"p{uuid.uuid4().hex}") for _ in range(2)]
            return [Session(projects[n % 2]) for n in range(4)]

        made = self._run(make())
        self._ids = [one.session_id for one in made]
        self._scopes: list[Scope] = [("global", "")]
        self._scopes += [("project", one.project.project_id) for one in made[:2]]
        self._scopes += [("session", id_) for id_ in self._ids]
        self._model = Model({one.session_id: one.project.project_id for one in made})
        self._works = Works(self._model, self._ids, self._scopes)
        self._workflows = Workflows(self._store, made)
        self._half_hour = _half_hour()
        for id_ in self._ids:
            self._admit(id_, None)

    def teardown(self) -> None:
        for table in ("budgets", "usage", "admissions"):
            self._run(self._store.fetch(f"DELETE FROM {table}"))
        self._run(self._store.fetch("UPDATE runners SET ended_at = now() WHERE ended_at IS NULL"))
        self._run(self._store.fetch("UPDATE sessions SET state = 'ended'"))

    # What happens

    @rule(replies=REPLIES, death=DEATHS_OF_ONE)
    def replies_are_read(self, replies: list[Told], death: Death) -> None:
        self._survive(self._works.reading(replies), death)()

    @rule(change=CHANGE, death=DEATHS_OF_ONE)
    def somebody_changes_a_budget(self, change: Change, death: Death) -> None:
        known = self._survive(self._works.changing(*change), death)
        self._know_periods()
        known()

    @rule(times=st.integers(1, 3))
    def daemons_look(self, times: int) -> None:
        due = {(id_, *what) for id_, what in self._model.crossing().items()}
        told = self._at_once([cross] * times)
        self._told(told)
        assert {(one.budget_id, one.warns, one.ends) for found in told for one in found} == due
        self._put_away_who_is_due()

    @rule(death=DEATHS_OF_ONE)
    def a_daemon_dies_while_it_looks(self, death: Death) -> None:
        self._told([self._survive(cross, death)])
        self._put_away_who_is_due()

    @rule(who=WHO, death=DEATHS_OF_ONE, god=st.booleans())
    def a_session_rests_or_goes_on(self, who: int, death: Death, god: bool) -> None:
        id_ = self._ids[who]
        if self._workflows.states[id_] is SessionState.RUNNING:
            self._run(self._workflows.end(id_, SessionState.PAUSED))
        else:
            self._admit(id_, death, god=god)

    @rule(who=WHO, activity=st.sampled_from([Activity.BUSY, Activity.IDLE]))
    def an_agent_works_or_does_not(self, who: int, activity: Activity) -> None:
        self._run(self._workflows.work(self._ids[who], activity))

    @rule(death=DEATHS_OF_ONE)
    def who_is_free_is_woken(self, death: Death) -> None:
        for id_ in self._run(self._workflows.free()):
            self._admit(id_, death)

    @rule()
    def a_week_passes(self) -> None:
        """Everything that was is a week older; on the way there no row comes where another one is."""
        self._model.later(WEEK)
        far = timedelta(days=10_000)
        moves = [("usage", "at", -WEEK), ("budgets", "set_at", -WEEK)]
        for by in (-far, far - WEEK):
            columns = [("budget_passes", "starts_at"), ("budget_periods", "starts_at"), ("budget_periods", "ends_at")]
            moves += [(table, column, by) for table, column in columns]
        for table, column, by in moves:
            self._run(self._store.fetch(f"UPDATE {table} SET {column} = {column} + $1::interval", by))

    @rule(
        readings=st.lists(REPLIES, min_size=1, max_size=4),
        changes=st.lists(CHANGE, max_size=3, unique_by=lambda change: change[0]),
        looks=st.integers(0, 2),
        admits=st.sets(WHO, max_size=2),
    )
    def all_at_once(self, readings: list[list[Told]], changes: list[Change], looks: int, admits: set[int]) -> None:
        resting = [self._ids[who] for who in sorted(admits) if self._rests(self._ids[who])]
        requests = {id_: self._workflows.sessions[id_].admit() for id_ in resting}
        works: list[Work[Any]] = [self._works.reading(replies) for replies in readings]
        works += [self._works.changing(*change) for change in changes]
        works += [asking(request) for request in requests.values()]
        works += [cross] * looks
        found = self._at_once(works)
        self._know_periods()
        for known in found[: len(readings) + len(changes)]:
            known()
        answers = dict(zip(requests, found[len(readings) + len(changes) :], strict=False))
        for id_, answer in answers.items():
            self._run(self._workflows.admitted(id_, answer))
        # Of what was changed meanwhile only Postgres knows whether it was told before or after that.
        anew = {self._scopes[change[0]] for change in changes}
        self._told(found[len(works) - looks :], anew)
        self._believe_what_was_told(anew)
        due = {(id_, *what) for id_, what in self._model.crossing().items()}
        last = self._at_once([cross])
        self._told(last)
        assert {(one.budget_id, one.warns, one.ends) for one in last[0]} == due

    # What is always true

    @invariant()
    def all_is_right(self) -> None:
        assume(_half_hour() == self._half_hour)
        self._know_periods()
        self._run(self._usage_is_right())
        self._run(self._budgets_are_right())
        self._sessions_are_right()

    async def _usage_is_right(self) -> None:
        rows = await self._store.fetch("SELECT session_id::text, message_id, input_tokens, cost_usd, at FROM usage")
        found = {(row["session_id"], row["message_id"]): (row["input_tokens"], row["cost_usd"]) for row in rows}
        assert found == {key: (reply.tokens, price(reply.tokens)) for key, reply in self._model.replies.items()}

    async def _budgets_are_right(self) -> None:
        model = self._model
        for row in await self._store.fetch(
            "SELECT id::text, used, extra, used_up, warned_at IS NOT NULL AS warned, reached_at IS NOT NULL AS reached,"
            " starts_at FROM budget_use"
        ):
            one, start = model.budgets[row["id"]], row["starts_at"]
            assert (row["used"], row["extra"]) == (model.used(one), one.extra.get(start, 0))
            assert (row["used_up"], row["warned"], row["reached"]) == (
                model.used_up(one),
                start in one.warned,
                start in one.reached,
            )
        wrong = await self._store.fetch(
            "SELECT past.*, spent.used AS really FROM budget_periods AS past JOIN budgets ON budgets.id = budget_id"
            " CROSS JOIN LATERAL ("
            "   SELECT coalesce(sum(CASE unit WHEN 'usd' THEN cost_usd ELSE input_tokens END), 0) AS used FROM usage"
            "   JOIN sessions ON sessions.id = session_id WHERE at >= past.starts_at AND at < past.ends_at"
            "   AND scope_id IN ('', project_id::text, session_id::text)) AS spent"
            " WHERE past.used <> spent.used OR past.used < 0 OR past.extra < 0"
        )
        assert wrong == []

    def _sessions_are_right(self) -> None:
        model, workflows = self._model, self._workflows
        assert self._run(workflows.holds()) == {id_: model.hold(id_) for id_ in self._ids}
        assert self._run(workflows.free()) == [id_ for id_ in workflows.held() if model.hold(id_) is None]
        for id_, standing in self._run(workflows.standing()).items():
            runs = int(workflows.states[id_] is SessionState.RUNNING)
            assert standing == Standing(workflows.states[id_], slots=runs, runners=runs)

    # How it is done

    def _at_once(self, works: Sequence[Work[Result]]) -> list[Result]:
        async def all_of_them() -> list[Result]:
            return await asyncio.gather(*(work(self._store.database) for work in works))

        return self._run(all_of_them())

    def _survive(self, work: Work[Result], death: Death) -> Result:
        """Have it done by one who may die on the way, which changes nothing; and then by another one."""
        if death:
            dying = DyingDatabase(self._store.database, death[0], cut=death[1])
            try:
                return self._do(dying, work)
            except DEATHS:
                self.all_is_right()
        return self._do(self._store.database, work)

    def _do(self, database: Database, work: Work[Result]) -> Result:
        async def one() -> Result:
            return await work(database)

        return self._run(one())

    def _know_periods(self) -> None:
        rows = self._run(self._store.fetch("SELECT id::text, starts_at, ends_at FROM budget_use"))
        self._model.periods = {row["id"]: (row["starts_at"], row["ends_at"]) for row in rows}

    def _told(self, told: Sequence[Sequence[Crossing]], anew: Collection[Scope] = ()) -> None:
        """Each thing once, unless the budget began anew."""
        counts = Counter(
            (one.budget_id, one.starts_at, kind)
            for found in told
            for one in found
            if (one.scope, one.scope_id) not in anew
            for kind, is_so in (("warns", one.warns), ("ends", one.ends))
            if is_so
        )
        assert all(count == 1 for count in counts.values()), counts
        for id_, start, kind in counts:
            one = self._model.budgets[id_]
            marks = one.warned if kind == "warns" else one.reached
            assert start not in marks
            marks.add(start)

    def _believe_what_was_told(self, scopes: Collection[Scope]) -> None:
        for row in self._run(self._store.fetch("SELECT * FROM budget_use")):
            one, start = self._model.budgets[str(row["id"])], row["starts_at"]
            if one.scope in scopes:
                for marks, at in ((one.warned, row["warned_at"]), (one.reached, row["reached_at"])):
                    marks.discard(start)
                    marks.update([start] if at else [])

    def _put_away_who_is_due(self) -> None:
        """What daemons and workflows do about live runners of sessions that are held."""
        running = self._workflows.running()
        overdrawn = self._run(self._workflows.overdrawn())
        held = {id_: hold for id_ in running if (hold := self._model.hold(id_))}
        assert {one.session_id: one.hold.state for one in overdrawn} == held
        for one in overdrawn:
            if one.due:
                self._run(self._workflows.end(one.session_id, one.hold.state))

    def _rests(self, id_: str) -> bool:
        return self._workflows.states[id_] not in (SessionState.RUNNING, SessionState.ENDED)

    def _admit(self, id_: str, death: Death, *, god: bool = False) -> None:
        session, ended = self._workflows.sessions[id_], self._workflows.states[id_] is SessionState.ENDED
        session.incarnation += ended
        self._know_periods()
        expected = None if god else self._model.hold(id_)
        answer = self._survive(asking(session.admit(resumes=ended, god=OPERATOR if god else None)), death)
        assert (answer.hold.state if answer.hold else None) == expected
        if god:
            self._model.pass_by(id_)
        self._run(self._workflows.admitted(id_, answer))


def _half_hour() -> float:
    """In which the clock is: periods begin with one."""
    return datetime.now(UTC).timestamp() // 1800


async def _far_from_a_new_period() -> None:
    left = 1800 - datetime.now(UTC).timestamp() % 1800
    if left < PERIOD_MARGIN.total_seconds():
        await asyncio.sleep(left + 0.1)


def test_budgets_count_right_and_hold_whom_they_must(stack: Stack, migrated_template: str) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    servers.run_apart(servers.execute(stack, f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))

    class MachineHere(Machine):
        def __init__(self) -> None:
            super().__init__(store, runner)

    with asyncio.Runner() as runner:
        opened = runner.run(Database.open(servers.dsn_of(stack, name), KEY))
        store = Store(opened)
        runner.run(store.host())
        try:
            run_state_machine_as_test(
                MachineHere,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=30,
                    deadline=None,
                    # Shrinking what many connections did at once takes longer than reading it.
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.close())
            runner.run(servers.execute(stack, f"DROP DATABASE {name} WITH (FORCE)"))
