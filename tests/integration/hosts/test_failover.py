"""``failover: auto``: sessions of a lost host go on on another one, and never does one run on both."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stratavore import fencing, procfs
from stratavore.naming import session_of
from stratavore.procfs import uptime
from stratavore.runtime.processes import RUNNER_MARKER, Liveness, ProcessIdentity, identify, liveness
from tests.integration.worker.watching import ended, generation
from tests.support.command_line import CommandLine
from tests.support.hosts import SHORT_LEASE_SECONDS, HostProcess, Hosts
from tests.support.proxy import Proxy
from tests.support.waiting import answer, until

PROGRAM = ["sh", "-c", 'echo "$STRATAVORE_HOME $STRATAVORE_RUNNER_ID" >>runs; exec cat']
"""Notes who runs where, and waits."""
AUTO = {"failover": "auto"}
PATIENCE_SECONDS = 120.0
WATCH_SECONDS = 0.2
"""A look at all processes takes some of it; guards look each second."""

pytestmark = pytest.mark.waits


@asynccontextmanager
async def pair_with_a_way(hosts: Hosts) -> AsyncIterator[tuple[HostProcess, HostProcess, Proxy]]:
    """Two hosts; and the way of the first one to Postgres, which can be cut."""
    lost = hosts.new("lost")
    lost.lease_seconds = SHORT_LEASE_SECONDS
    async with Proxy.before(lost.dsn) as way:
        lost.dsn = way.url
        await lost.start()
        yield lost, await hosts.start("other"), way


async def launched(host: HostProcess, directory: Path, **params: Any) -> tuple[str, ProcessIdentity]:
    """A session on that host, and its agent."""
    (session,) = await host.launch(await host.project(PROGRAM, path=directory), **params)
    found = await host.wait(session, "running")
    assert found["host"] == host.host
    return session, (await generation(host, session, 1))[1]


@asynccontextmanager
async def never_two(session: str) -> AsyncIterator[None]:
    """Fail if two agents of the session live at one moment, at any time within the block."""
    over = asyncio.Event()
    most: list[list[str]] = [[]]

    def look() -> list[str]:
        # Whose agent lives: guards and wrappers carry the marker too, and may be about to end.
        agents = [pid for pid in procfs.pids() if name(pid) == "cat"]
        runners = {procfs.environment_value(pid, RUNNER_MARKER) or "" for pid in agents}
        return [runner for runner in runners if runner.startswith(session)]

    async def watch() -> None:
        while not over.is_set():
            seen = await asyncio.to_thread(look)
            if len(seen) > len(most[0]):
                most[0] = seen
            await asyncio.sleep(WATCH_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        over.set()
        await watching
    assert len(most[0]) <= 1, f"they lived at the same time: {most[0]}"


def name(pid: int) -> str:
    """Of the program."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


async def runs_elsewhere(other: HostProcess, session: str) -> None:
    """Wait until its next runner runs there."""
    found = await other.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
    assert (found["host"], found["generation"]) == (other.host, 2)


def runs_of(session: str, hosts: Hosts) -> list[str]:
    """Where its runners began: the state directory of the host, and the runner."""
    runs = hosts.shared / "runs"
    return [line for line in runs.read_text().splitlines() if session in line] if runs.exists() else []


async def begun_on_each(lost: HostProcess, other: HostProcess, runner: str, hosts: Hosts) -> None:
    """Its first runner began on the lost host, this one on the other, and none beside them. A program notes it late."""
    session = session_of(runner)
    begun = [f"{lost.home.root} {session}.1", f"{other.home.root} {runner}"]
    await until(lambda: runs_of(session, hosts) == begun, what="that it began once on each")


async def began_once_on_each(lost: HostProcess, other: HostProcess, session: str, hosts: Hosts) -> dict[str, Any]:
    """The session, once it runs on the other host.

    Temporal hears of an agent's end also from a host that is cut off, before that is lost for the others, be it by the
    second that the guard is early. What is placed there again by then never begins, and goes on elsewhere in turn.
    """
    found = await other.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
    assert found["host"] == other.host
    await begun_on_each(lost, other, found["runner_id"], hosts)
    return found


async def test_a_daemon_is_killed_and_its_sessions_go_on_elsewhere(hosts: Hosts) -> None:
    lost, other = await hosts.start("lost"), await hosts.start("other")
    session, agent = await launched(lost, hosts.shared, options=AUTO)
    waits, waiting = await launched(lost, hosts.shared)
    async with never_two(session):
        lost.kill()
        await hosts.lose(lost)
        await runs_elsewhere(other, session)
        assert liveness(agent) is Liveness.DEAD
    end = await ended(other, session, 1)
    assert end["exit_kind"] == "fenced"
    assert end["exit_reason"] == "its host lost is lost; it goes on on other"
    await begun_on_each(lost, other, f"{session}.2", hosts)

    # Who did not choose it is not touched.
    assert (await other.wait(waits, "unreachable"))["generation"] == 1
    assert identify(waiting.pid) == waiting
    cli = CommandLine(other.environment, other.home.root)
    shown = await cli.done("sessions", "show", session)
    assert "Failover: auto" in shown
    assert "its host lost is lost; it goes on on other" in shown

    await lost.start()  # it is back: what was decided of its sessions stays
    assert (await other.wait(waits, "running", timeout=PATIENCE_SECONDS))["generation"] == 1
    assert identify(waiting.pid) == waiting
    assert (await other.wait(session, "running"))["generation"] == 2
    assert await ended(other, session, 1) == end


async def test_a_daemon_that_was_frozen_finds_that_its_session_runs_elsewhere(hosts: Hosts) -> None:
    lost, other = await hosts.start("lost"), await hosts.start("other")
    session, agent = await launched(lost, hosts.shared, options=AUTO)
    async with never_two(session):
        lost.freeze()
        await hosts.lose(lost)
        await runs_elsewhere(other, session)
        lost.thaw()
        await hosts.back(lost, by=other)
        assert liveness(agent) is Liveness.DEAD

        async def is_told() -> bool:
            (row,) = await other.fetch("SELECT count(*) AS n FROM runners WHERE host = 'lost' AND ended_at IS NULL")
            return bool(row["n"] == 0)

        await answer(is_told, what="that nothing of it is left there")
    found = await other.wait(session, "running")
    assert (found["host"], found["generation"]) == ("other", 2)


@pytest.mark.parametrize("point", ["failover.claim.after", "host.give_up.before", "host.give_up.after"])
async def test_who_takes_them_over_dies_in_it_and_goes_on(hosts: Hosts, point: str) -> None:
    lost = await hosts.start("lost")
    other = hosts.new("other")
    await other.start(kill_at=point)
    session, _ = await launched(lost, hosts.shared, options=AUTO)
    async with never_two(session):
        lost.kill()
        await hosts.lose(lost)
        await until(lambda: other.ended, timeout=PATIENCE_SECONDS, what=f"its death at {point}")
        await other.start()
        await runs_elsewhere(other, session)
    assert [row["n"] for row in await other.fetch("SELECT count(*) AS n FROM runners")] == [2]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_daemon_that_dies_as_it_binds_a_runner_to_its_lease_starts_it_once(hosts: Hosts, moment: str) -> None:
    only = hosts.new("only")
    await only.start(kill_at=f"launch.guard.{moment}")
    (session,) = await only.launch(await only.project(PROGRAM, path=hosts.shared), options=AUTO)
    await until(lambda: only.ended, what="its death")
    await only.start()
    assert (await only.wait(session, "running"))["generation"] == 1
    runs = [f"{only.home.root} {session}.1"]
    await until(lambda: runs_of(session, hosts) == runs, what="that it began, once")


async def test_a_host_that_is_cut_off_from_postgres_ends_them_itself(hosts: Hosts) -> None:
    async with pair_with_a_way(hosts) as (lost, other, way):
        session, agent = await launched(lost, hosts.shared, options=AUTO)
        waits, waiting = await launched(lost, hosts.shared)
        async with never_two(session):
            way.hold()
            found = await began_once_on_each(lost, other, session, hosts)
        assert liveness(agent) is Liveness.DEAD
        assert identify(waiting.pid) == waiting
        assert (await other.wait(waits, "unreachable"))["generation"] == 1
        way.go_on()
        assert (await other.wait(waits, "running", timeout=PATIENCE_SECONDS))["generation"] == 1
        assert (await other.wait(session, "running"))["runner_id"] == found["runner_id"]


async def test_agents_that_die_as_their_host_is_cut_off_begin_once_more_and_elsewhere(hosts: Hosts) -> None:
    async with pair_with_a_way(hosts) as (lost, other, way):
        # Several: their workflows are in the memory of the one or the other, as chance will have it.
        sessions = await lost.launch(await lost.project(PROGRAM, path=hosts.shared), 6, options=AUTO)
        agents = [(await generation(lost, session, 1))[1] for session in sessions]
        way.hold()
        for agent in agents:
            os.kill(agent.pid, signal.SIGKILL)
        for session in sessions:
            await began_once_on_each(lost, other, session, hosts)


async def test_connections_that_fall_silent_cost_neither_the_lease_nor_an_agent(hosts: Hosts) -> None:
    async with pair_with_a_way(hosts) as (lost, _, way):
        _, agent = await launched(lost, hosts.shared, options=AUTO)
        before = fencing.held(lost.home)
        assert before is not None
        way.lose()
        way.go_on()  # for those that are made from now on
        over = before.deadline + 1  # it was renewed by then, or its agents are ended
        await until(
            lambda: liveness(agent) is Liveness.DEAD or uptime() > over,
            timeout=PATIENCE_SECONDS,
            what="that a lease has passed",
        )
        after = fencing.held(lost.home)
        assert after is not None
        assert after.term == before.term
        assert identify(agent.pid) == agent


async def test_what_a_host_was_recording_as_it_was_cut_off_goes_on_elsewhere(hosts: Hosts) -> None:
    async with pair_with_a_way(hosts) as (_, other, way):
        # Their workflows are in the memory of the one or the other, as chance will have it.
        sessions = await other.launch(await other.project(["cat"]), 8)
        agents = [(await generation(other, session, 1))[1] for session in sessions]
        way.hold()
        for agent in agents:
            os.kill(agent.pid, signal.SIGKILL)
        for session in sessions:
            found = await other.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
            assert (found["host"], found["generation"]) == ("other", 2)
        way.go_on()
        more = await other.launch(await other.project(["cat"]), 4)
        for session in more:
            await other.wait(session, "running", timeout=PATIENCE_SECONDS)


async def test_an_end_of_the_lease_is_heard_of_though_the_daemon_died_over_the_answer(hosts: Hosts) -> None:
    only = await hosts.start("only")
    session, agent = await launched(only, hosts.shared, options=AUTO)
    async with never_two(session):
        only.kill()
        # Its machine stood still, the clock too: by its uptime the lease is good, and others may have the session.
        await only.fetch("UPDATE hosts SET lease_expires_at = now() - interval '1 second'")
        only.spawn(kill_at="lease.renew.after")
        await until(lambda: only.ended, timeout=PATIENCE_SECONDS, what="its death over the answer")
        assert liveness(agent) is Liveness.ALIVE
        await only.start()
        await only.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
    assert liveness(agent) is Liveness.DEAD
    assert (await ended(only, session, 1))["exit_kind"] == "fenced"


async def test_an_only_host_goes_on_with_its_sessions_when_it_is_back(hosts: Hosts) -> None:
    only = await hosts.start("only")
    session, agent = await launched(only, hosts.shared, options=AUTO)
    async with never_two(session):
        only.kill()
        await hosts.lose(only)
        await until(lambda: liveness(agent) is Liveness.DEAD, timeout=PATIENCE_SECONDS, what="that its agent ended")
        await only.start()
        found = await only.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
    assert (found["host"], found["generation"]) == ("only", 2)
    end = await ended(only, session, 1)
    assert (end["exit_kind"], end["exit_reason"]) == ("fenced", "its host could not renew its lease for 60 s")
