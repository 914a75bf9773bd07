"""On which of several hosts sessions run."""

from tests.support.command_line import CommandLine
from tests.support.hosts import LONG_LEASE_SECONDS, Hosts
from tests.support.waiting import answer


async def test_a_host_that_drains_keeps_what_it_has_and_gets_nothing_new(hosts: Hosts) -> None:
    hosts.lease_seconds = LONG_LEASE_SECONDS
    one, two = await hosts.start("one"), await hosts.start("two")
    cli = CommandLine(one.environment, one.home.root)
    project = await one.project(["cat"], path=hosts.shared)
    (stays,) = await one.launch(project)
    assert (await one.wait(stays, "running"))["host"] == "one"
    assert "State: draining since" in await cli.done("hosts", "drain", "one")
    (elsewhere,) = await one.launch(project)
    assert (await one.wait(elsewhere, "running"))["host"] == "two"
    assert (await one.wait(stays, "running"))["generation"] == 1

    await cli.done("restart", stays)
    assert (await one.wait(stays, "running"))["host"] == "two"

    await two.call("drain_host", host="two")
    (waits,) = await one.launch(project)
    found = await one.wait(waits, "queued")

    async def explained() -> bool:
        nonlocal found
        found = await one.call("find_session", target=waits)
        return found["reason"] is not None

    await answer(explained, what="a reason")
    assert found["reason"] == "no host takes new runners: one is draining, two is draining"
    await cli.done("hosts", "undrain", "one")
    assert (await one.wait(waits, "running"))["host"] == "one"
