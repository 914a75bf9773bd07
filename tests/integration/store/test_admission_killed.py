"""Whatever connections die, and whenever: slots and the waiting line stay right."""

import asyncio

import asyncpg
from hypothesis import strategies as st
from hypothesis.stateful import rule

from stratavore.models.steps import AdmitRequest
from stratavore.store.database import Database
from tests.integration.store.steps import KEY, Answer, Request, do
from tests.integration.store.test_admission_machine import WHICH, WISHES, Machine, live
from tests.support.stacks import Stack

TORN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_start > $1"
)


class KilledMachine(Machine):
    """Steps of workers whose connections to Postgres are ended, before or after their commits."""

    @rule(
        steps=st.lists(st.tuples(WISHES, WHICH, st.integers(0, 2)), min_size=2, max_size=10),
        pauses=st.lists(st.integers(0, 15), min_size=1, max_size=5),
    )
    def steps_while_connections_die(self, steps: list[tuple[str, int, int]], pauses: list[int]) -> None:
        """Each step is tried until somebody hears that it was done, as Temporal has it tried. ``pauses`` in ms."""
        asked: dict[str, Request] = {}
        for step in steps:
            request = self._request(*step)
            asked.setdefault(request.session_id, request)
        answers = self._run(self._all_of(list(asked.values()), pauses))
        self._done.extend(zip(asked.values(), answers, strict=True))
        self._look_again()  # who was let in by a step whose answer nobody heard looks by themselves
        gods = frozenset(one.session_id for one in asked.values() if isinstance(one, AdmitRequest) and one.god)
        self._check({one.session_id for one in self._sessions}, gods, at_once=True)

    async def _all_of(self, asked: list[Request], pauses: list[int]) -> list[Answer]:
        killer = await asyncpg.connect(self._dsn)
        began = await killer.fetchval("SELECT clock_timestamp()")
        torn = await Database.open(self._dsn, KEY)

        async def kill() -> None:
            for pause in pauses:
                await asyncio.sleep(pause / 1000)
                await killer.execute(KILL, began)

        try:
            killing = asyncio.create_task(kill())
            answers = await asyncio.gather(*(_tried(torn, request) for request in asked))
            await killing
        finally:
            await torn.close()
            await killer.close()
        return list(answers)


async def _tried(database: Database, request: Request) -> Answer:
    while True:
        try:
            return await do(database, request)
        except TORN:
            await asyncio.sleep(0)


def test_slots_and_the_line_stay_right_though_connections_die(stack: Stack, migrated_template: str) -> None:
    live(KilledMachine, stack, migrated_template, examples=10)
