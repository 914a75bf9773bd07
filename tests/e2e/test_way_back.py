"""The way back to the version before an upgrade: by the backup that was made, as the guide for operations says it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stratavore.embedded.process import Process
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, Snapshot, identify, liveness
from stratavore.store.migrate import HEAD
from tests.claude_code import messages_api
from tests.claude_code.messages import say
from tests.claude_code.program import PrivateHome
from tests.e2e.conversing import Conversations
from tests.e2e.test_upgrade import become_next, schema
from tests.support import guardian, servers
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.hosts import Hosts
from tests.support.next_version import SCHEMA
from tests.support.nursery import PROGRAM
from tests.support.processes import marked
from tests.support.stacks import Stack
from tests.support.waiting import until
from tests.support.whole_daemon import WholeDaemon

pytestmark = pytest.mark.timeout(600)

NO_BROKER = {"STRATAVORE_RABBITMQ__ENABLED": "false"}


@asynccontextmanager
async def upgraded(daemon: DaemonProcess, directory: Path) -> AsyncIterator[tuple[Conversations, str]]:
    """A conversation that was saved in ``before.tar``, and has gone on with the next version since."""
    async with messages_api.serve([say("one"), say("two"), say("three")]) as api:
        await daemon.start(settings=NO_BROKER)
        talk = Conversations(daemon, api)
        talk.user, talk.site = PrivateHome(directory / "user"), directory / "site"
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        await tell(talk, session, "remember the elephant")
        assert await schema(daemon) == HEAD
        await CommandLine(daemon.environment, directory).done("backup", "before.tar")

        assert daemon.end() == 0
        await daemon.start(settings=NO_BROKER | become_next(daemon))
        assert await schema(daemon) == SCHEMA
        await talk.kill(session)
        await daemon.wait_for_generation(session, 2)  # the number that the restored one will have
        await talk.does(session, "idle")
        await tell(talk, session, "and the giraffe")
        yield talk, session


async def tell(talk: Conversations, session: str, text: str) -> str:
    """Tell the agent something. Returns the whole conversation, as it asks for the reply."""
    await talk.ask(session, text)

    def asked() -> str:
        return " ".join(talk.asked[-1]) if talk.asked else ""

    await until(lambda: text in asked(), what="the request")
    return asked()


async def goes_on(talk: Conversations, session: str) -> None:
    """The session runs again with its conversation, on a database of this version."""
    await talk.daemon.start(settings=NO_BROKER)
    assert await schema(talk.daemon) == HEAD
    await talk.daemon.wait_for_generation(session, 2)
    await talk.does(session, "idle")
    said = await tell(talk, session, "what was it?")
    # It has its file still, and so it also knows what was said since.
    assert said.index("remember the elephant") < said.index("and the giraffe") < said.index("what was it?")
    await talk.daemon.command(session, "terminate", force=True)
    await talk.daemon.wait(session, "ended")


def terminals(home: Home) -> list[int]:
    """The terminal servers of a state directory."""
    return [one.pid for one in Snapshot().terminals(home.sockets)]


async def test_with_servers_of_its_own(home: Home, tmp_path: Path) -> None:
    daemon = WholeDaemon(home)
    aside = Home(home.root.with_name(f"{home.root.name}-newer"))
    try:
        async with upgraded(daemon, tmp_path) as (talk, session):
            cli = CommandLine(daemon.environment | NO_BROKER, tmp_path)
            runner = await talk.runner(session)
            agent = identify(runner["pid"])
            assert agent is not None
            pids = [daemon.server_pid(name) for name in ("temporal", "postgres")]
            stopped = await cli("daemon", "stop", "--servers")
            assert stopped == (0, "", "The daemon and its servers have stopped; agents go on.\n")
            assert daemon.end() == 0
            assert [pid for pid in pids if Process.of(pid)] == []
            assert liveness(agent) is Liveness.ALIVE
            assert len(terminals(home)) == 1
            again = await cli("daemon", "stop", "--servers")
            assert again == (0, "", "Neither the daemon nor a server is running.\n")

            home.root.rename(aside.root)
            daemon.program = PROGRAM
            said = await cli.refused(5, "restore", "before.tar")
            assert "and would write beside those of the restored sessions. End them with --end-agents." in said
            assert liveness(agent) is Liveness.ALIVE
            await cli.done("restore", "--end-agents", "before.tar")
            assert liveness(agent) is Liveness.DEAD
            assert terminals(home) == []
            await goes_on(talk, session)
    finally:
        daemon.kill()
        await guardian.clean(home)
        await guardian.clean(aside)


async def test_with_servers_of_ones_own(daemon_process: DaemonProcess, stack: Stack, tmp_path: Path) -> None:
    daemon = daemon_process
    async with upgraded(daemon, tmp_path) as (talk, session), servers.own_database(stack) as empty:
        stopped = await CommandLine(daemon.environment, tmp_path)("daemon", "stop")
        assert stopped == (0, "", "The daemon has stopped; sessions and servers go on.\n")
        assert daemon.end() == 0

        daemon.program, daemon.dsn, daemon.namespace = PROGRAM, empty, f"test-{uuid.uuid4().hex[:12]}"
        await CommandLine(daemon.environment, tmp_path).done("restore", "--end-agents", "before.tar")
        assert terminals(daemon.home) == [], "a terminal of the ended agent would have the name of the next one's"
        await goes_on(talk, session)
        daemon.kill()


async def test_agents_of_another_host_are_taken_over(hosts: Hosts, stack: Stack, tmp_path: Path) -> None:
    here, there = await hosts.start("here"), await hosts.start("there")
    cli = CommandLine(here.environment, tmp_path)
    project = await here.project(["cat"], hosts.shared)
    launch = ("launch", project, "--host", "there", "--detach")
    (known,) = await cli.json(*launch)
    await here.wait(known["session_id"], "running")
    await cli.done("backup", "before.tar")
    (stranger,) = await cli.json(*launch)
    await here.wait(stranger["session_id"], "running")
    before = {one["session_id"]: one["pid"] for one in await here.call("list_runners")}
    for host in (here, there):
        assert host.end() == 0

    namespace = f"test-{uuid.uuid4().hex[:12]}"
    async with servers.own_database(stack) as empty:
        for host in (here, there):
            host.dsn, host.namespace = empty, namespace
        restored = await CommandLine(here.environment, tmp_path)("restore", "--end-agents", "before.tar")
        assert (restored.code, restored.err) == (0, "Sessions on other hosts wait for their daemons: there.\n")
        for host in (here, there):
            await host.start()
        await there.wait(known["session_id"], "running")
        (runner,) = await there.call("list_runners")
        assert (runner["session_id"], runner["pid"]) == (known["session_id"], before[known["session_id"]])
        cli = CommandLine(there.environment, tmp_path)
        told = await cli("reconcile")
        assert (
            "but Postgres does not know it, which proves nothing.\n  left: to end it: stratavore reconcile" in told.out
        )
        assert marked(session_id=stranger["session_id"]), "nobody ends unasked what nobody knows"
        await cli.done("reconcile", "--end-orphans")
        assert not marked(session_id=stranger["session_id"])
        await cli.done("pause", known["session_id"])
        await cli.done("resume", known["session_id"])
        await there.wait_for_generation(known["session_id"], 2)
        for host in (here, there):
            host.kill()
