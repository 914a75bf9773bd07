"""On which of several hosts sessions run."""

from tests.support.hosts import Hosts


async def test_sessions_of_two_hosts_run_each_on_its_own(hosts: Hosts) -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    for host in (one, two):
        (session,) = await host.launch(await host.project(["cat"]))
        found = await host.wait(session, "running")
        assert found["host"] == host.host
