"""Two machines of one name: the one that lost it does nothing for the host any more, and says so."""

import pytest

from stratavore.errors import RemoteError
from stratavore.runtime.processes import Liveness, liveness
from tests.integration.worker.watching import generation
from tests.support.command_line import CommandLine
from tests.support.hosts import HostProcess, Hosts
from tests.support.waiting import answer, until

PROGRAM = ["sh", "-c", 'echo "$STRATAVORE_HOME $STRATAVORE_RUNNER_ID" >>runs; exec cat']
"""Notes who runs where, and waits."""
PATIENCE_SECONDS = 120.0


async def lose(hosts: Hosts, first: HostProcess, second: HostProcess) -> None:
    """Let the second one, on another machine, have the name of the first one, which is frozen meanwhile."""
    first.freeze()
    await hosts.lose(first)

    async def is_free() -> bool:
        (row,) = await first.fetch("SELECT lease_expires_at <= now() AS free FROM hosts")
        return bool(row["free"])

    await answer(is_free, what="the end of its lease")
    # Another machine has another boot id. That is the kernel's, so it is the first one's that becomes another.
    await first.fetch("UPDATE runners SET boot_id = '00000000-0000-4000-8000-000000000000' WHERE boot_id IS NOT NULL")
    await second.start()
    first.thaw()


async def problem(host: HostProcess) -> str:
    """What it says of itself."""
    return str((await host.call("daemon_status"))["problem"] or "")


async def test_who_lost_the_name_leaves_everything_to_the_other(hosts: Hosts) -> None:
    first = await hosts.start("same")
    second = hosts.new("same")
    project = await first.project(PROGRAM, path=hosts.shared)
    (session,) = await first.launch(project)
    await first.wait(session, "running")
    _, agent = await generation(first, session, 1)
    await lose(hosts, first, second)

    async def says_so() -> str:
        return await problem(first)

    said = await answer(says_so, what="that it says so") or ""
    assert said.startswith("Another daemon serves the host 'same' with this Postgres: ")
    assert await problem(second) == ""
    await second.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)

    async def is_dead() -> bool:
        return liveness(agent) is Liveness.DEAD

    await answer(is_dead, PATIENCE_SECONDS, "the end of the agent of the past")
    for one in await second.launch(project, 4):
        await second.wait(one, "running", timeout=PATIENCE_SECONDS)
    places = {line.split()[0] for line in (hosts.shared / "runs").read_text().splitlines()[1:]}
    assert places == {str(second.home.root)}

    with pytest.raises(RemoteError, match="Another daemon serves the host 'same'"):
        await first.call("reconcile")
    cli = CommandLine(first.environment, first.home.root)
    assert "Problem: Another daemon serves the host" in await cli.done("daemon", "status")
    health = await cli("health")
    assert health.code == 1
    assert "this one does nothing for it" in " ".join(health.out.split())
    assert first.log.read_text().count("Another daemon serves the host 'same'") == 1
    refused = await CommandLine(second.environment, second.home.root)("reconcile")
    assert refused.code == 0, refused

    second.kill()
    await first.fetch("UPDATE hosts SET lease_expires_at = now()")

    async def is_ours() -> bool:
        return await problem(first) == ""

    await answer(is_ours, what="that it has the name again")
    (last,) = await first.launch(project)
    await first.wait(last, "running", timeout=PATIENCE_SECONDS)
    await until(lambda: f"{first.home.root} {last}.1" in (hosts.shared / "runs").read_text(), what="its words")
