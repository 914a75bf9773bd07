"""Moving sessions between hosts, with real daemons."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.hosts import HostProcess, Hosts
from tests.support.processes import marked
from tests.support.waiting import until


@pytest.fixture
async def two(hosts: Hosts) -> tuple[HostProcess, HostProcess]:
    """Hosts that answer."""
    made = hosts.new("one"), hosts.new("two")
    for host in made:
        await host.start()
    return made


def command_line(host: HostProcess) -> CommandLine:
    return CommandLine(host.environment, host.home.root)


async def launched(host: HostProcess) -> tuple[str, Path]:
    """A session of a program that notes who runs where, and waits."""
    directory = host.home.root / uuid.uuid4().hex
    directory.mkdir()
    program = ["sh", "-c", 'echo "$STRATAVORE_HOME $STRATAVORE_RUNNER_ID" >>runs; exec cat']
    (session,) = await host.launch(await host.project(program, directory))
    await host.wait(session, "running")
    return session, directory


async def runs_on(host: HostProcess, session: str, generation: int) -> dict[str, Any]:
    """The session once a runner of that generation runs there."""
    found = await host.wait(session, "running", generation=generation)
    assert (found["generation"], found["host"]) == (generation, host.host)
    return found


async def test_a_session_goes_on_on_another_host(two: tuple[HostProcess, HostProcess]) -> None:
    here, there = two
    cli = command_line(here)
    session, directory = await launched(here)
    origin = (await here.call("wait", session_id=session, states=["running"], timeout_s=30))["host"]
    here, there = (here, there) if origin == here.host else (there, here)
    said = await cli.done("move", session, there.host)
    assert said == f"{session[:8]}  running on {there.host}\n"
    await runs_on(there, session, 2)
    begun = [f"{here.home.root} {session}.1", f"{there.home.root} {session}.2"]
    await until(lambda: (directory / "runs").read_text().splitlines() == begun, what="that it began once on each")
    assert not marked(runner_id=f"{session}.1"), "nothing of it is left where it was"
    (ended,) = await here.fetch("SELECT status, exit_kind FROM runners WHERE id = $1", f"{session}.1")
    assert ended["status"] == "terminated"

    refusal = await cli.refused(5, "move", session, there.host)
    assert refusal.startswith(f"The session {session[:8]} does not move: it is on {there.host} already")
    assert "the host nowhere is unknown, away or draining" in await cli.refused(5, "move", session, "nowhere")

    moved = await cli.json("move", "--from", there.host, "--all")
    assert [(one["session_id"], one["generation"]) for one in moved] == [(session, 3)]
    await runs_on(here, session, 3)


async def test_a_host_without_the_directory_is_asked_before_the_agent_ends(
    two: tuple[HostProcess, HostProcess],
) -> None:
    here, _ = two
    session, directory = await launched(here)
    found = await here.call("wait", session_id=session, states=["running"], timeout_s=30)
    other = next(one for one in two if one.host != found["host"])
    directory.rename(directory.with_name("elsewhere"))
    refusal = await command_line(here).refused(5, "move", session, other.host)
    assert f"does not move: the host {other.host} has no directory {directory}" in refusal
    assert marked(runner_id=f"{session}.1"), "its agent was not touched"
    await here.call("wait", session_id=session, states=["running"], timeout_s=5, generation=1)
    (row,) = await here.fetch("SELECT state, generation, host FROM sessions WHERE id = $1::uuid", session)
    assert (row["state"], row["generation"], row["host"]) == ("running", 1, found["host"])


async def test_a_host_that_drains_can_be_left_by_all(two: tuple[HostProcess, HostProcess]) -> None:
    here, there = two
    cli = command_line(here)
    sessions = [(await launched(here))[0] for _ in range(2)]
    stays, directory = await launched(here)
    home = (await here.wait(stays, "running"))["host"]
    assert {(await here.wait(one, "running"))["host"] for one in sessions} == {home}
    other = here.host if home == there.host else there.host
    directory.rename(directory.with_name("elsewhere"))

    result = await cli("hosts", "drain", home, "--move")
    lines = sorted(f"{one[:8]}  running on {other}" for one in sessions)
    *moved, last = result.out.splitlines()
    assert (sorted(moved), last) == (lines, f"The host {home} takes no new runners; 1 session of it stays.")
    assert result.code == 5
    assert f"The session {stays[:8]} does not move: the host {other} has no directory {directory}" in result.err
    assert marked(runner_id=f"{stays}.1"), "its agent was not touched"

    directory.with_name("elsewhere").rename(directory)
    result = await cli("hosts", "drain", home, "--move")
    assert (result.code, result.out) == (
        0,
        f"{stays[:8]}  running on {other}\nThe host {home} takes no new runners; nothing runs there.\n",
    )

    # Nowhere to go: each is told by itself, and none is touched.
    result = await cli("move", "--from", other, "--all")
    assert (result.code, result.out) == (5, "")
    assert result.err.count("does not move: no other host takes runners") == 3
    assert await here.fetch("SELECT 1 FROM runners WHERE ended_at IS NULL AND generation <> 2") == []
    assert "There is no host 'nowhere'" in await cli.refused(3, "move", "--from", "nowhere", "--all")


async def test_who_cannot_move_holds_up_no_other(two: tuple[HostProcess, HostProcess]) -> None:
    here, there = two
    cli = command_line(here)
    project = await here.project(["cat"])
    first, second = await here.launch(project, 2)
    home = (await here.wait(first, "running"))["host"]
    await here.wait(second, "running")
    other = here.host if home == there.host else there.host
    await cli.done("move", first, other)
    result = await cli("move", project, other)
    assert (result.code, result.out) == (5, f"{second[:8]}  running on {other}\n")
    assert f"The session {first[:8]} does not move: it is on {other} already" in result.err
