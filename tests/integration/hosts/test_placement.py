"""On which of several hosts sessions run."""

import json

from tests.support.command_line import CommandLine
from tests.support.hosts import Hosts
from tests.support.waiting import answer


async def test_a_host_that_drains_keeps_what_it_has_and_gets_nothing_new(hosts: Hosts) -> None:
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


async def test_a_session_that_runs_on_one_host_only_waits_for_it(hosts: Hosts) -> None:
    one, _ = await hosts.start("one"), await hosts.start("two")
    cli = CommandLine(one.environment, hosts.shared)
    said = await cli.refused(3, "new", "films", "--host", "tow", "--", "cat")
    assert said == "There is no host 'tow' (did you mean 'two'?). See: stratavore hosts."
    made = json.loads(await cli.done("new", "films", "--host", "two", "--format", "json", "--", "cat"))
    assert made["host"] == "two"
    assert "Host: two only" in await cli.done("projects", "show", "films")
    assert "did you mean 'one'?" in await cli.refused(3, "launch", "films", "--host", "oen", "--detach")

    (launched,) = await cli.json("launch", "films", "--detach")
    session = launched["session_id"]
    assert (await one.wait(session, "running"))["host"] == "two"
    assert "Runs on: two only" in await cli.done("sessions", "show", session)
    (own,) = await cli.json("launch", "films", "--host", "one", "--detach")
    assert (await one.wait(own["session_id"], "running"))["host"] == "one"

    await cli.done("pause", session)
    await cli.done("hosts", "drain", "two")
    assert "it runs on two only, which is draining" in await cli.done("resume", session)
    assert "it runs on two only, which is draining" in await cli.done("status")
    refused = await cli.done("launch", "films", "--detach")
    assert "queued: it runs on two only, which is draining" in refused
    await cli.done("hosts", "undrain", "two")
    assert (await one.wait(session, "running"))["host"] == "two"

    await cli.done("move", session, "one")
    await cli.done("restart", session)
    again = await one.wait(session, "running", generation=4)
    assert (again["generation"], again["host"]) == (4, "one"), "it stays where a person moved it"


async def test_what_the_file_of_a_project_says_of_its_host_holds(hosts: Hosts) -> None:
    one, _ = await hosts.start("one"), await hosts.start("two")
    cli = CommandLine(one.environment, hosts.shared)
    (hosts.shared / ".stratavore.yaml").write_text("host: two\n")
    await cli.done("new", "films", "--host", "one", "--", "cat")
    (launched,) = await cli.json("launch", "films", "--detach")
    assert (await one.wait(launched["session_id"], "running"))["host"] == "two"


async def test_stopping_everything_on_a_host_ends_its_own_sessions_only(hosts: Hosts) -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    cli = CommandLine(one.environment, one.home.root)
    project = await one.project(["cat"], path=hosts.shared)
    sessions = {}
    for host, on in ((one, "one"), (two, "two")):
        (sessions[on],) = await host.launch(project, options={"host": on})
        await host.wait(sessions[on], "running")
    asked = await cli.refused(2, "daemon", "stop", "--all")
    assert asked.startswith(
        "1 session is live on this host (1 of other hosts goes on). To end them without being asked"
    )
    await cli.done("daemon", "stop", "--all", "--force")
    states = {one["session_id"]: one["state"] for one in await two.call("list_sessions", all=True)}
    assert states == {sessions["one"]: "ended", sessions["two"]: "running"}
