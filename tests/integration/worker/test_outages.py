"""Servers and terminals that hang for a while: agents are not touched, and what happened is caught up."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stratavore.embedded.stack import EmbeddedStack
from stratavore.models.session import TerminateSignal
from stratavore.naming import workflow_id
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, Snapshot, identify, liveness, send
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.test_monitor import tmux_server
from tests.integration.worker.watching import generation, running
from tests.support import guardian, servers
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until


@pytest.fixture
async def private_stack(homes: Path) -> AsyncIterator[EmbeddedStack]:
    """Temporal and Postgres that a test may hurt."""
    home = servers.new_home(homes)
    stack = EmbeddedStack(home, servers.free_ports(rabbitmq=False))
    await stack.start()
    yield stack
    await guardian.clean(home)


@pytest.fixture
async def alone(home: Home, private_stack: EmbeddedStack) -> AsyncIterator[DaemonProcess]:
    """A daemon on servers of its own."""
    made = DaemonProcess(
        home,
        temporal=private_stack.temporal_address,
        namespace=f"test-{uuid.uuid4().hex[:12]}",
        dsn=private_stack.postgres_dsn,
        rabbitmq=None,
        host=f"h-{uuid.uuid4().hex[:8]}",
    )
    await made.start()
    yield made
    made.kill()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process and its children, as a machine that swaps or a disk that hangs does."""
    process = identify(pid)
    assert process is not None
    family = Snapshot().tree(process)
    try:
        for one in family:
            send(one, signal.SIGSTOP)
        yield
    finally:
        for one in family:
            send(one, signal.SIGCONT)


def pid_of(stack: EmbeddedStack, name: str) -> int:
    (pid,) = [one.pid for one in stack.servers() if one.name == name]
    assert pid is not None
    return pid


@pytest.mark.parametrize("server", ["temporal", "postgres"])
async def test_a_server_that_hangs_touches_no_agent(
    alone: DaemonProcess, private_stack: EmbeddedStack, server: str
) -> None:
    project = await alone.project(["cat"])
    dies, lives = await alone.launch(project, 2)
    _, mortal = await generation(alone, dies, 1)
    _, untouched = await generation(alone, lives, 1)
    terminal = await alone.call("terminal", target=lives)
    with paused(pid_of(private_stack, server)):
        send(mortal, signal.SIGKILL)
        await until(RunDirectory(alone.home, f"{dies}.1").exit, what="the exit")
        # A person goes on working in the other one.
        argv = [*terminal["attach"][: terminal["attach"].index("attach-session")], "send-keys", "-t"]
        typing = await asyncio.create_subprocess_exec(*argv, f"={lives}_1:", "words", "Enter")
        assert await typing.wait() == 0
        await until(lambda: b"words\r\nwords" in RunDirectory(alone.home, f"{lives}.1").log.read_bytes())
    _, again = await generation(alone, dies, 2)
    assert liveness(again) is Liveness.ALIVE
    assert (await generation(alone, lives, 1))[1] == untouched
    assert not (alone.home.runners / f"{lives}.2").exists()
    assert len(list(alone.home.runners.glob(f"{dies}.*"))) == 2


async def test_an_outage_is_survived_by_a_daemon_that_starts_in_it(
    alone: DaemonProcess, private_stack: EmbeddedStack
) -> None:
    session, agent = await running(alone, ["cat"])
    alone.kill()
    with paused(pid_of(private_stack, "postgres")):
        alone.spawn()
        await until(lambda: "waiting: Postgres" in alone.log.read_text(), timeout=60, what="a daemon that waits")
        assert liveness(agent) is Liveness.ALIVE
    await alone.ready()
    assert (await generation(alone, session, 1))[1] == agent


async def test_a_terminal_server_that_hangs_ends_no_session_and_holds_up_no_other(daemon: DaemonProcess) -> None:
    hung, agent = await running(daemon, ["cat"])
    other, mortal = await running(daemon, ["cat"])
    with paused(await tmux_server(daemon, hung)):
        send(mortal, signal.SIGKILL)
        await generation(daemon, other, 2)

        async def busy() -> bool:
            await daemon.call("send", target=other, text="still typing", request_id=str(uuid.uuid4()))
            rows = await daemon.call("list_sessions")
            return (other, "busy") in [(one["session_id"], one["activity"]) for one in rows]

        await answer(busy, what="an activity that is seen")
        assert liveness(agent) is Liveness.ALIVE
    assert (await generation(daemon, hung, 1))[1] == agent
    await daemon.call("send", target=hung, text="here again", request_id=str(uuid.uuid4()))
    await until(lambda: b"here again" in RunDirectory(daemon.home, f"{hung}.1").log.read_bytes())


async def test_a_daemon_ends_while_postgres_is_gone(alone: DaemonProcess, private_stack: EmbeddedStack) -> None:
    project = await alone.project(["cat"])
    ends, lives = await alone.launch(project, 2)
    _, mortal = await generation(alone, ends, 1)
    _, agent = await generation(alone, lives, 1)
    workflow = (await alone.client()).get_workflow_handle(workflow_id(ends))
    os.kill(pid_of(private_stack, "postgres"), signal.SIGKILL)
    # Its end is to be recorded now, and is tried for ever.
    await workflow.signal("terminate", TerminateSignal(request_id=str(uuid.uuid4())))
    await until(lambda: liveness(mortal) is Liveness.DEAD, what="the end")
    assert await asyncio.to_thread(alone.end) == 0
    assert liveness(agent) is Liveness.ALIVE
