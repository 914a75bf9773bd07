"""A server that takes what it is asked and says nothing: who asks hears of it soon, and what became of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from stratavore.control import Control
from stratavore.errors import EXIT_UNAVAILABLE, ServerSilent
from stratavore.naming import workflow_id
from stratavore.store.database import Database
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.waiting import answer, until

pytestmark = pytest.mark.waits
"""For the ten seconds after which a server is silent."""

TEXT = "written down"


@dataclass(frozen=True)
class Ways:
    """A daemon with a session, and its ways to the servers."""

    daemon: DaemonProcess
    session: str
    postgres: Proxy
    temporal: Proxy

    def typed(self, text: str = TEXT) -> int:
        """How often the text stands in the terminal: once as it was typed, and once as the program repeated it."""
        log = self.daemon.home.run_directory(f"{self.session}.1") / "log"
        return log.read_text(errors="replace").count(text)


@pytest.fixture
async def ways(daemon_process: DaemonProcess) -> AsyncIterator[Ways]:
    async with behind_proxies(daemon_process) as made:
        yield made
        daemon_process.kill()


@asynccontextmanager
async def behind_proxies(daemon: DaemonProcess) -> AsyncIterator[Ways]:
    async with (
        Proxy.before(daemon.dsn) as postgres,
        Proxy.before(f"tcp://{daemon.temporal}") as temporal,
    ):
        daemon.dsn, daemon.temporal = postgres.url, temporal.url.removeprefix("tcp://")
        await daemon.start()
        (session,) = await daemon.launch(await daemon.project(["cat"]))
        await daemon.wait(session, "running")
        yield Ways(daemon, session, postgres, temporal)


async def test_nothing_is_sent_while_postgres_says_nothing(ways: Ways) -> None:
    cli = CommandLine(ways.daemon.environment, ways.daemon.home.root)
    ways.postgres.hold()
    result = await cli("send", ways.session, TEXT)
    assert (result.code, result.out) == (EXIT_UNAVAILABLE, "")
    assert result.err == (
        "Error: Postgres does not answer for 10 s: nothing was sent. See: stratavore daemon status.\n"
    )
    ways.postgres.go_on()
    await cli.done("send", ways.session, "another text")
    assert ways.typed() == 0


@pytest.mark.parametrize("word", ["kill", "restart"])
async def test_nothing_is_asked_while_postgres_says_nothing(ways: Ways, word: str) -> None:
    cli = CommandLine(ways.daemon.environment, ways.daemon.home.root)
    ways.postgres.hold()
    result = await cli(word, ways.session)
    assert (result.code, result.out) == (EXIT_UNAVAILABLE, "")
    nothing = "nothing was restarted" if word == "restart" else "nothing was asked of any session"
    assert result.err == f"Error: Postgres does not answer for 10 s: {nothing}. See: stratavore daemon status.\n"


async def test_it_is_not_known_whether_sessions_heard_while_temporal_says_nothing(ways: Ways) -> None:
    cli = CommandLine(ways.daemon.environment, ways.daemon.home.root)
    ways.temporal.hold()
    result = await cli("pause", ways.session)
    assert (result.code, result.out) == (EXIT_UNAVAILABLE, "")
    assert result.err == (
        "Error: Temporal does not answer for 10 s: nobody knows whether it was heard, so look before you ask again, "
        "with: stratavore sessions. See: stratavore daemon status.\n"
    )


async def test_the_server_that_failed_is_named(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres, which is asked for what a session was launched with if its workflow is found closed."""
    daemon = ways.daemon
    daemon.kill()
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(ways.session)).terminate()
    database = await Database.open(daemon.dsn, b"k" * 32, connections=2)
    control = Control(daemon.home, daemon.host, database, client)
    signal = control._signal

    async def then_postgres_is_gone(*words: Any) -> bool:
        heard = await signal(*words)
        ways.postgres.is_open = False
        ways.postgres.cut()
        return heard

    monkeypatch.setattr(control, "_signal", then_postgres_is_gone)
    try:
        with pytest.raises(ServerSilent, match=r"^Postgres failed in the middle of it \(.*\): nobody knows whether"):
            await control.command(ways.session, "pause", str(uuid.uuid4()))
    finally:
        await database.close()


async def test_it_is_not_known_whether_a_text_was_noted_while_temporal_says_nothing(ways: Ways) -> None:
    cli = CommandLine(ways.daemon.environment, ways.daemon.home.root)
    ways.temporal.hold()
    result = await cli("send", ways.session, TEXT)
    assert (result.code, result.out) == (EXIT_UNAVAILABLE, "")
    assert result.err.startswith(
        "Error: Temporal does not answer for 10 s: nobody knows whether the text was noted, to be typed as soon as it "
        "answers; look there before you send it again, with: stratavore attach "
    )
    ways.temporal.go_on()
    await cli.done("send", ways.session, "another text")
    await until(lambda: ways.typed("another text") == 2, what="echo and output of cat")
    assert ways.typed() in (0, 2)


async def test_a_text_that_is_noted_is_typed_once_though_postgres_fails_meanwhile(ways: Ways) -> None:
    """In this process: so there is a moment in which the text is noted, and no daemon to type it."""
    daemon = ways.daemon
    daemon.kill()
    database = await Database.open(daemon.dsn, b"k" * 32, connections=2)
    try:
        control = Control(daemon.home, daemon.host, database, await daemon.client())
        sending = asyncio.create_task(control.send(ways.session, TEXT, str(uuid.uuid4())))

        async def noted() -> int:
            handle = (await daemon.client()).get_workflow_handle(f"session-{ways.session}")
            return sum(
                event.workflow_execution_signaled_event_attributes.signal_name == "send"
                for event in (await handle.fetch_history()).events
            )

        await answer(noted, what="that it is noted")
        ways.postgres.cut()  # for a moment only
        ways.postgres.hold()
        with pytest.raises(ServerSilent, match="the text is noted, and typed as soon as it answers; do not send it"):
            await sending
        ways.postgres.go_on()
        await daemon.start()
        await until(lambda: ways.typed() == 2, what="echo and output of cat")

        async def another_is_noted() -> bool:
            return await noted() == 2

        # Of a failure that is over soon nobody hears.
        daemon.kill()
        sending = asyncio.create_task(control.send(ways.session, "another text", str(uuid.uuid4())))
        await answer(another_is_noted, what="that the other one is noted")
        for _ in range(20):
            await asyncio.sleep(0.1)
            ways.postgres.cut()
        await daemon.start()
        assert await sending == {"session_id": ways.session}
        assert ways.typed() == 2
    finally:
        await database.close()
