"""Whatever sessions, people and crashes do, in any order and at once: slots and the waiting line stay right."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.steps import Admission, AdmitRequest, Placed, Recorded, RecordRequest
from stratavore.models.views import ProjectView
from stratavore.store import admission
from stratavore.store.database import Database
from tests.integration.store.dying import Died, DyingDatabase
from tests.integration.store.steps import (
    KEY,
    LIMIT,
    MEMORY,
    OPERATOR,
    TOKENS,
    Answer,
    Request,
    Session,
    Store,
    do,
)
from tests.support import servers
from tests.support.stacks import Stack

RESTING = (SessionState.PAUSED, SessionState.PARKED, SessionState.LIMITED)
OVER = (*RESTING, SessionState.ENDED)
WITH_PROCESS = (SessionState.STARTING, SessionState.RUNNING, SessionState.RECOVERING)

WISHES = st.sampled_from(["join", "join", "look", "god", "place", "relaunch", "pause", "park", "end", "forget"])
"""What a session's workflow may be about to do; what makes no sense in the session's state becomes another step."""
WHICH = st.integers(0, 11)
"""A session, counted from the newest one."""
SLOT_MB = 256
"""What a slot counts at least."""
VALUES = {
    LIMIT: st.none() | st.integers(0, 4),
    MEMORY: st.none() | st.integers(0, 5).map(lambda slots: slots * SLOT_MB) | st.integers(0, 5 * SLOT_MB),
    TOKENS: st.none() | st.integers(0, 6),
}


@dataclass(frozen=True)
class Row:
    """A session as the database knows it. ``ticket`` None: it neither holds a slot nor waits."""

    session_id: str
    project_id: str
    state: SessionState
    generation: int
    ticket: int | None
    granted: bool
    live: str | None
    """Its runner that has not ended."""
    tokens: int
    """That it used today."""
    most_tokens: int | None
    """Its own limit of them."""

    @property
    def used_up(self) -> bool:
        """Whether its own limit lets it not start today."""
        return self.most_tokens is not None and self.tokens >= self.most_tokens


class Line:
    """Everything that admission knows, at one moment; what is used is counted here, slowly."""

    def __init__(
        self, rows: Sequence[Row], limits: dict[tuple[str, str], int], memory: dict[str, float], tokens: dict[str, int]
    ) -> None:
        self.sessions = {row.session_id: row for row in rows}
        self.held = {row.session_id for row in rows if row.granted}
        self.waiting = sorted((row for row in rows if row.ticket and not row.granted), key=lambda row: row.ticket or 0)
        self.limits = limits
        """By project id (the global ones by an empty id) and name."""
        self.used: Counter[tuple[str, str]] = Counter()
        excess: Counter[str] = Counter()
        for one in self.held:
            for scope in ("", self.sessions[one].project_id):
                self.used[scope, LIMIT] += 1
                self.used[scope, MEMORY] += SLOT_MB
                excess[scope] += max(0.0, memory.get(one, 0) - SLOT_MB)  # type: ignore[assignment]
        for scope, megabytes in excess.items():
            self.used[scope, MEMORY] += ceil(megabytes)
        for project, count in tokens.items():
            self.used[project, TOKENS] += count
            self.used["", TOKENS] += count

    def full(self, scope: str) -> bool:
        """Whether a limit of a project, or a global one, lets nobody in."""
        return any(of == scope and self.used[scope, name] >= value for (of, name), value in self.limits.items())


def _with_value(name: str) -> st.SearchStrategy[tuple[str, int | None]]:
    return st.tuples(st.just(name), VALUES[name])


class Machine(RuleBasedStateMachine):
    """A few sessions of three projects."""

    def __init__(self, store: Store, runner: asyncio.Runner, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._store = store
        self._run = runner.run
        self._sessions: list[Session] = []
        self._done: list[tuple[Request, Answer]] = []
        self._passed: set[str] = set()
        self._projects: list[ProjectView] = []

    @initialize(data=st.data())
    def three_projects(self, data: st.DataObject) -> None:
        async def make() -> list[ProjectView]:
            made = [await self._store.project(f"p{uuid.uuid4().hex}") for _ in range(3)]
            for project in (None, *made):
                for name, values in VALUES.items():
                    await self._store.limit(project, data.draw(values), name)
            return made

        self._projects = self._run(make())
        self._line = self._run(self._look())

    def teardown(self) -> None:
        self._run(self._store.fetch("DELETE FROM admissions"))
        self._run(self._store.fetch("DELETE FROM limits"))
        self._run(self._store.fetch("DELETE FROM usage"))
        self._run(self._store.fetch("DELETE FROM tokens_by_day"))
        self._run(self._store.fetch("UPDATE runners SET ended_at = now() WHERE ended_at IS NULL"))

    # What happens

    @rule(wish=WISHES, which=WHICH, project=st.integers(0, 2))
    def a_step(self, wish: str, which: int, project: int) -> None:
        request = self._request(wish, which, project)
        self._finish([(request, self._run(self._store.do(request)))])

    @rule(wish=WISHES, which=WHICH, project=st.integers(0, 2), statements=st.integers(0, 10), again=st.booleans())
    def a_step_whose_worker_dies(self, wish: str, which: int, project: int, statements: int, again: bool) -> None:
        request = self._request(wish, which, project)
        try:
            answer = self._run(do(DyingDatabase(self._store.database, statements), request))
        except Died:
            self._check_unchanged()
            if not again:
                return
            answer = self._run(self._store.do(request))
        self._finish([(request, answer)])

    @rule(which=st.integers(0, 30))
    def a_step_again(self, which: int) -> None:
        if not self._done:
            return
        request, first = self._done[-1 - which % len(self._done)]
        if isinstance(first, Placed) and first.placement is None:
            return  # nothing was done
        second = self._run(self._store.do(request))
        if isinstance(first, Recorded):
            assert second == first.model_copy(update={"repeated": True})
        elif isinstance(first, Admission):
            assert isinstance(second, Admission)
            if first.hold:
                assert second == first
            else:
                assert (second.granted, second.grants) == (request.session_id in self._line.held, ())
        self._check_unchanged()

    @rule(steps=st.lists(st.tuples(WISHES, WHICH, st.integers(0, 2), st.integers(1, 2)), min_size=2, max_size=10))
    def steps_at_once(self, steps: list[tuple[str, int, int, int]]) -> None:
        requests: dict[str, Request] = {}
        times: dict[str, int] = {}
        for wish, which, project, number in steps:
            request = self._request(wish, which, project)
            if requests.setdefault(request.session_id, request) is request:
                times[request.session_id] = number
        asked = [request for request in requests.values() for _ in range(times[request.session_id])]

        async def all_at_once() -> list[Answer]:
            return await asyncio.gather(*(self._store.do(request) for request in asked))

        answers = self._run(all_at_once())
        done = list(zip(asked, answers, strict=True))
        for session_id, number in times.items():
            first = [
                one.repeated for request, one in done if request.session_id == session_id and isinstance(one, Recorded)
            ]
            assert sorted(first) in ([], [False, True][:number]), "of two tries one is the first"
        self._finish(done, at_once=True)

    @rule(scope=st.integers(-1, 2), name_and_value=st.sampled_from(list(VALUES)).flatmap(_with_value))
    def a_limit(self, scope: int, name_and_value: tuple[str, int | None]) -> None:
        project = self._projects[scope] if scope >= 0 else None
        name, value = name_and_value
        self._check(set(self._run(self._store.limit(project, value, name))))

    @rule(which=WHICH, tokens=VALUES[TOKENS])
    def a_limit_of_a_session(self, which: int, tokens: int | None) -> None:
        """It lets nobody else in or out, and the session asks for itself."""
        if self._sessions:
            session = self._sessions[-1 - which % len(self._sessions)]
            self._check(set(self._run(self._store.limit(session, tokens, TOKENS))))
            if session.session_id in self._line.sessions:
                self.a_step("look", which, 0)

    @rule()
    def a_day_passes(self) -> None:
        self._run(self._store.fetch("UPDATE usage SET at = at - interval '1 day'"))
        self._run(self._store.fetch("UPDATE tokens_by_day SET day = day - 1000"))  # no row meets another one on its way
        self._run(self._store.fetch("UPDATE tokens_by_day SET day = day + 999"))
        self._check(self._look_again())

    @rule(which=WHICH, megabytes=st.floats(0, 4 * SLOT_MB))
    def a_measurement(self, which: int, megabytes: float) -> None:
        """Memory goes up and down while agents run; the next look of anybody sees it."""
        if live := self._live():
            self._run(self._store.use_memory(live[which % len(live)], megabytes))
            self._check(self._look_again())

    @rule(which=WHICH, tokens=st.integers(0, 3), today=st.booleans(), message=st.sampled_from(["a", "b"]))
    def a_reply(self, which: int, tokens: int, today: bool, message: str) -> None:
        """A reply is told of, again too, and of another day."""
        if live := self._live():
            at = None if today else datetime.now(UTC) - timedelta(days=1)
            self._run(self._store.use_tokens(live[which % len(live)], tokens, at, f"{message}{today}"))
            self._check(self._look_again())

    def _live(self) -> list[str]:
        return sorted(row.live for row in self._line.sessions.values() if row.live)

    def _look_again(self) -> set[str]:
        """As the slow timer of one who waits does. Returns who got a slot by it."""

        async def grant() -> set[str]:
            async with self._store.database.transaction("test") as transaction:
                return set(await admission.grant(transaction.connection))

        return self._run(grant())

    def _request(self, wish: str, which: int, project: int) -> Request:
        """What the workflow of a session would ask for now; a new one's, if there are none or it is wished so."""
        god = OPERATOR if wish == "god" else None
        if wish == "join" or not self._sessions:
            self._sessions.append(Session(self._projects[project]))
            return self._sessions[-1].admit(god=god)
        session = self._sessions[-1 - which % len(self._sessions)]
        row = self._line.sessions.get(session.session_id)
        if row is None:  # the first step of its workflow was never done
            return session.admit(god=god)
        if row.state in OVER:
            if row.state is SessionState.ENDED:
                session.incarnation += 1
            return session.admit(resumes=row.state is SessionState.ENDED, god=god)
        match wish:
            case "pause":
                return session.record(SessionState.PAUSED, row.live, RunnerStatus.PAUSED)
            case "end":
                return session.record(SessionState.ENDED, row.live, RunnerStatus.TERMINATED)
            case "forget":  # a runner that was placed, and of which the workflow never heard
                return session.record(SessionState.ENDED)
            case "park" if row.live:
                return session.record(SessionState.PARKED, row.live)
            case "relaunch" if row.live:
                return session.record(SessionState.RECOVERING, row.live)
            case "look" | "god" if not (row.live and row.used_up):  # who runs does not ask, so a limit ends nobody
                return session.admit(god=god)
            case _:
                return session.place(relaunch=row.generation > 0)

    # What is always true

    def _finish(self, done: Sequence[tuple[Request, Answer]], *, at_once: bool = False) -> None:
        """Remember what was done, and check it."""
        self._done.extend({request.session_id: (request, answer) for request, answer in done}.values())
        told = _let_in(done)
        if any(isinstance(request, RecordRequest) and not request.release for request, _ in done):
            told |= self._look_again()  # a runner has ended, and its slot counts less until the next one is measured
        gods = frozenset(request.session_id for request, _ in done if isinstance(request, AdmitRequest) and request.god)
        self._check(told, gods, at_once=at_once)
        for request, answer in done:
            if isinstance(request, AdmitRequest) and isinstance(answer, Admission) and not at_once:
                row = self._line.sessions[request.session_id]
                assert (answer.hold is not None) == (row.used_up and not request.god)
                assert (row.state is SessionState.LIMITED) == (answer.hold is not None)

    def _check(self, told: set[str], gods: frozenset[str] = frozenset(), *, at_once: bool = False) -> None:
        """Compare with the line before.

        ``told`` are the sessions that answers named as let in, ``gods`` those that were let past the limits.
        """
        before, after = self._line, self._run(self._look())
        self._line = after
        new = after.held - before.held
        assert new <= told if at_once else new == told - before.held
        self._passed = (self._passed | (gods & new)) & after.held
        entered = Counter(scope for one in new - self._passed for scope in ("", after.sessions[one].project_id))
        passed = Counter(scope for one in gods & new for scope in ("", after.sessions[one].project_id))
        for (scope, name), limit in after.limits.items():
            used = after.used[scope, name]
            if entered[scope] and not passed[scope] and not at_once:
                # The last one was let in while less than the limit was used.
                assert used - {LIMIT: 1, MEMORY: SLOT_MB, TOKENS: 0}[name] < limit
            elif name == LIMIT:  # a limit that was lowered under what is held lets nobody in
                assert used <= max(limit, before.used[scope, name]) + passed[scope]
            elif name == MEMORY and at_once:
                assert used < max(limit, before.used[scope, name]) + SLOT_MB * (1 + passed[scope])
            elif name == TOKENS and at_once:
                assert used < limit or not entered[scope]
        for waiting in after.waiting:
            assert after.full("") or after.full(waiting.project_id), "nobody waits for nothing"
            for one in map(after.sessions.__getitem__, after.held - self._passed):
                assert one.ticket is not None
                assert waiting.ticket is not None
                if one.project_id == waiting.project_id:
                    assert one.ticket < waiting.ticket
                elif one.session_id in new and one.ticket > waiting.ticket and not at_once:
                    assert after.full(waiting.project_id), "an earlier one of another project had room"
        for session_id, row in after.sessions.items():
            earlier = before.sessions.get(session_id)
            assert row.generation >= (earlier.generation if earlier else 0)
            assert (row.ticket is None) == (row.state in OVER)
            if row.state in WITH_PROCESS:
                assert row.granted
            if row.live:
                assert row.state in WITH_PROCESS
                assert row.live == f"{session_id}.{row.generation}"
        self._run(self._check_history())

    def _check_unchanged(self) -> None:
        before, self._line = self._line, self._run(self._look())
        assert self._line.sessions == before.sessions
        self._run(self._check_history())

    async def _look(self) -> Line:
        rows = await self._store.fetch(
            "SELECT id::text AS session_id, sessions.project_id::text, state, generation, ticket,"
            "       granted_at IS NOT NULL AS granted,"
            "       (SELECT string_agg(runners.id, ' and ') FROM runners"
            "        WHERE session_id = sessions.id AND ended_at IS NULL) AS live,"
            "       (SELECT coalesce(sum(input_tokens), 0)::bigint FROM usage"
            "        WHERE session_id = sessions.id"
            "          AND at AT TIME ZONE 'UTC' >= (now() AT TIME ZONE 'UTC')::date) AS tokens,"
            "       (SELECT value FROM limits WHERE scope = 'session' AND scope_id = sessions.id::text) AS most_tokens"
            " FROM sessions LEFT JOIN admissions ON session_id = sessions.id"
            " WHERE sessions.project_id = ANY ($1::uuid[])",
            [project.project_id for project in self._projects],
        )
        limits = await self._store.fetch("SELECT scope_id, name, value, used FROM limit_use")
        memory = await self._store.fetch(
            "SELECT session_id::text, memory_mb FROM runners WHERE ended_at IS NULL AND memory_mb IS NOT NULL"
        )
        tokens = await self._store.fetch(
            "SELECT project_id::text, sum(input_tokens)::bigint AS tokens"
            " FROM usage JOIN sessions ON sessions.id = session_id"
            " WHERE at AT TIME ZONE 'UTC' >= (now() AT TIME ZONE 'UTC')::date GROUP BY project_id"
        )
        line = Line(
            [Row(**{**row, "state": SessionState(row["state"])}) for row in rows],
            {(row["scope_id"], row["name"]): row["value"] for row in limits},
            {row["session_id"]: row["memory_mb"] for row in memory},
            {row["project_id"]: row["tokens"] for row in tokens},
        )
        for row in limits:
            assert row["used"] == line.used[row["scope_id"], row["name"]]
        return line

    async def _check_history(self) -> None:
        """Events have no gaps; the generations of runners neither."""
        wrong = await self._store.fetch(
            "SELECT id FROM sessions"
            " LEFT JOIN LATERAL (SELECT array_agg(sequence ORDER BY sequence) AS sequences FROM events"
            "                    WHERE session_id = sessions.id) AS happened ON true"
            " LEFT JOIN LATERAL (SELECT array_agg(generation ORDER BY generation) AS generations FROM runners"
            "                    WHERE session_id = sessions.id) AS made ON true"
            " WHERE sessions.project_id = ANY ($1::uuid[])"
            "   AND (coalesce(sequences, '{}') <> ARRAY(SELECT generate_series(1, last_sequence))"
            "     OR coalesce(generations, '{}') <> ARRAY(SELECT generate_series(1, generation)))",
            [project.project_id for project in self._projects],
        )
        assert wrong == []


def _let_in(done: Sequence[tuple[Request, Answer]]) -> set[str]:
    """The sessions that these answers name as holders of a new slot, or as holders at all."""
    found: set[str] = set()
    for request, answer in done:
        if isinstance(answer, Admission | Recorded):
            found.update(answer.grants)
        if isinstance(answer, Admission) and answer.granted:
            found.add(request.session_id)
    return found


def live(kind: type[Machine], stack: Stack, template: str, examples: int) -> None:
    """Let so many machines of a kind run, in a database of their own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    servers.run_apart(servers.execute(stack, f"CREATE DATABASE {name} TEMPLATE {template}"))

    class MachineHere(kind):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            super().__init__(store, runner, servers.dsn_of(stack, name))

    with asyncio.Runner() as runner:
        opened = runner.run(Database.open(servers.dsn_of(stack, name), KEY))
        store = Store(opened)
        runner.run(store.host())
        try:
            run_state_machine_as_test(
                MachineHere,
                settings=settings(
                    max_examples=examples,
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


def test_slots_and_the_line_stay_right(stack: Stack, migrated_template: str) -> None:
    live(Machine, stack, migrated_template, examples=30)
