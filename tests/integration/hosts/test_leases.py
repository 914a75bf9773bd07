"""A host that is frozen or killed: its sessions are unreachable, its agents live, and nothing is started anew."""

import shutil
import uuid
from datetime import UTC, datetime
from unittest.mock import AsyncMock

import pytest
from temporalio.service import RPCError, RPCStatusCode

from stratavore.control import Control
from stratavore.errors import HostNotDeleted
from stratavore.models.session import TerminateSignal
from stratavore.naming import workflow_id
from stratavore.runtime.processes import identify
from stratavore.store.database import Database
from tests.integration.worker.conversing import assistant
from tests.integration.worker.test_conversations import Person
from tests.integration.worker.watching import ended, generation
from tests.support.command_line import CommandLine
from tests.support.hosts import HostProcess, Hosts
from tests.support.waiting import answer


async def told(host: HostProcess, session: str) -> list[str]:
    """What was told of a session's being reachable, in order."""
    rows = await host.fetch(
        "SELECT type FROM events WHERE session_id = $1 AND type LIKE 'session.%reachable' ORDER BY sequence",
        uuid.UUID(session),
    )
    return [row["type"] for row in rows]


async def warnings(host: HostProcess) -> list[str]:
    """Alerts that ask a person to do something."""
    rows = await host.fetch("SELECT data->>'message' AS message FROM events WHERE data->>'severity' = 'warning'")
    return [row["message"] for row in rows]


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_who_was_away_goes_on_where_it_was(hosts: Hosts, how: str) -> None:
    away, other = await hosts.start("away"), await hosts.start("other")
    project = await away.project(["cat"])
    (session,) = await away.launch(project)
    _, agent = await generation(away, session, 1)
    if how == "frozen":
        away.freeze()
    else:
        away.kill()
    await hosts.lose(away)
    seen = await other.wait(session, "unreachable")
    assert seen["reason"].startswith("the host away has not been heard of since ")
    await hosts.away(away, by=other)
    await answer(lambda: warnings(other), what="that it is told")
    (found,) = (await other.call("reconcile"))["differences"]
    assert (found["kind"], found["outcome"]) == ("host_away", "left")
    assert len(await warnings(other)) == 1, "told once, by who saw its lease run out"

    cli = CommandLine(other.environment, other.home.root)
    unreachable = await cli.refused(4, "send", session, "words")
    assert unreachable.startswith(f"The session {session[:8]} cannot be sent text: the host away has not been heard of")
    assert "stratavore hosts show away" in await cli.refused(4, "restart", session)
    held_up = await cli.refused(5, "move", "--from", "away", "--all")
    assert "or elsewhere after: stratavore hosts delete away --force" in held_up
    shown = await cli.done("hosts")
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [["away", "away"], ["other", "up"]]

    if how == "frozen":
        away.thaw()
    else:
        await away.start()
    back = await other.wait(session, "running")
    assert back["generation"] == 1

    async def is_told() -> bool:
        return await told(other, session) == ["session.unreachable", "session.reachable"]

    await answer(is_told, what="that it is back")
    assert identify(agent.pid) == agent


async def test_what_is_asked_of_it_meanwhile_is_done_when_it_is_back(hosts: Hosts) -> None:
    away, other = await hosts.start("away"), await hosts.start("other")
    project = await away.project(["cat"])
    ends, pauses = await away.launch(project, 2)
    for session in (ends, pauses):
        await away.wait(session, "running")
    away.freeze()
    await hosts.lose(away)
    await other.wait(pauses, "unreachable")
    cli = CommandLine(other.environment, other.home.root)
    for word, session, done in (("kill", ends, "ended"), ("pause", pauses, "paused")):
        result = await cli(word, session)
        assert result.code == 0, result
        assert f"The host away is away: the session is {done} as soon as it is back." in result.err
        assert result.out.startswith(f"{session[:8]}  unreachable")
    away.thaw()
    await other.wait(ends, "ended")
    await other.wait(pauses, "paused")


async def test_a_host_that_is_gone_for_good_is_deleted_and_its_sessions_go_on_elsewhere(hosts: Hosts) -> None:
    gone, other = await hosts.start("gone"), await hosts.start("other")
    (session, ended) = await gone.launch(await gone.project(["cat"], path=hosts.shared), 2)
    _, agent = await generation(gone, session, 1)
    cli = CommandLine(other.environment, other.home.root)
    assert "is up" in await cli.refused(5, "hosts", "delete", "gone", "--force")
    assert "did you mean 'gone'" in await cli.refused(3, "hosts", "delete", "gon")
    gone.freeze()
    await hosts.lose(gone)
    await other.wait(session, "unreachable")
    client = await other.client()
    handle = client.get_workflow_handle(workflow_id(ended))
    await handle.signal("terminate", TerminateSignal(request_id=str(uuid.uuid4())))
    assert "has 2 sessions that wait for it" in await cli.refused(5, "hosts", "delete", "gone")
    told = await cli.json("hosts", "delete", "gone", "--force", "--yes")
    assert (told["host"], sorted(told["sessions"])) == ("gone", sorted([session, ended]))
    found = await other.wait(session, "running")
    assert (found["host"], found["generation"]) == ("other", 2)
    await other.wait(ended, "ended")
    assert [one["host"] for one in await cli.json("hosts")] == ["other"]

    gone.thaw()  # it was not gone: its agent is one of the past

    async def is_dead() -> bool:
        await gone.call("reconcile")
        return identify(agent.pid) != agent

    await answer(is_dead, 60, "the end of the agent of the past")
    assert (await other.wait(session, "running"))["generation"] == 2


async def test_what_was_spent_on_a_deleted_host_is_counted_when_it_is_back_all_the_same(hosts: Hosts) -> None:
    gone, other = await hosts.start("gone"), await hosts.start("other")
    person = Person(gone)
    shutil.copytree(person.home / "bin", other.programs)
    (person.home / "says").write_bytes(assistant("told", 5))
    session = await person.launch()
    await person.tokens(session, 15)
    gone.freeze()
    await hosts.lose(gone)
    with person.transcript(session).open("ab") as file:
        file.write(assistant("not told", 7, at=datetime.now(UTC).isoformat()))
    await other.wait(session, "unreachable")
    await CommandLine(other.environment, other.home.root).done("hosts", "delete", "gone", "--force", "--yes")
    await other.wait(session, "running", generation=2)
    end = await ended(other, session, 1)
    assert (end["exit_kind"], end["exit_reason"]) == ("fenced", "its host gone is gone for good")
    gone.thaw()

    async def is_counted() -> bool:
        (row,) = await other.fetch("SELECT rest_counted FROM runners WHERE host = 'gone'")
        return bool(row["rest_counted"])

    await answer(is_counted, what="that what it wrote is counted")
    rows = await other.fetch("SELECT message_id, output_tokens FROM usage WHERE session_id = $1", uuid.UUID(session))
    assert {row["message_id"]: row["output_tokens"] for row in rows} == {"told": 5, "not told": 7}


async def test_a_host_that_could_not_be_deleted_says_what_became_of_it(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = await hosts.start("gone")
    (session,) = await gone.launch(await gone.project(["cat"], path=hosts.shared))
    await gone.wait(session, "running")
    gone.kill()
    await hosts.lose(gone)
    monkeypatch.setattr("stratavore.control.hosts.GO_ON_SECONDS", 1.0)
    database = await Database.open(gone.dsn, b"k" * 32, connections=3)
    try:
        # Of a person at another machine, which has no daemon: nobody is there who could go on with it.
        control = Control(gone.home, "elsewhere", database, await gone.client())

        async def is_away() -> bool:
            (host,) = await control.list_hosts()
            return not host.up

        await answer(is_away, what="the end of its lease")
        for failure, reason in (
            (None, "1 session of it did not go on elsewhere in 1 s"),
            (
                RPCError("it was lost", RPCStatusCode.UNAVAILABLE, b""),
                "Temporal failed in the middle of it",
            ),
        ):
            with monkeypatch.context() as patch, pytest.raises(HostNotDeleted) as refused:
                if failure:
                    patch.setattr("stratavore.control.hosts.tell_lost", AsyncMock(side_effect=failure))
                await control.delete_host("gone", force=True)
            said = str(refused.value)
            assert f"The host gone is not deleted: {reason}" in said
            assert "takes no new runners" in said
            assert "stratavore hosts undrain gone" in said
            assert (await control.show_host("gone")).draining
        other = await hosts.start("other")
        cli = CommandLine(other.environment, other.home.root)
        await cli.done("hosts", "delete", "gone", "--force", "--yes")
        await other.wait(session, "running", generation=2)
    finally:
        await database.close()


async def test_a_host_that_schedules_launch_on_is_deleted_only_if_they_may_wait(hosts: Hosts) -> None:
    gone, other = await hosts.start("gone"), await hosts.start("other")
    project = await gone.project(["cat"], path=hosts.shared)
    for name, host in (("nightly", "gone"), ("weekly", "gone"), ("elsewhere", "other")):
        await other.call(
            "create_schedule",
            project=project,
            schedule_id=str(uuid.uuid4()),
            cron="0 0 29 2 *",
            prompt="go",
            name=name,
            options={"host": host},
        )

    async def all_of_them() -> bool:  # the list knows them a moment late
        return len(await other.call("schedule_names")) == 3

    await answer(all_of_them, what="the schedules in the list")
    gone.kill()
    await hosts.lose(gone)
    await hosts.away(gone, by=other)
    cli = CommandLine(other.environment, other.home.root)
    refused = await cli.refused(5, "hosts", "delete", "gone")
    assert "which would wait for it for ever: nightly, weekly. " in refused
    assert "stratavore schedule delete nightly" in refused
    assert [one["host"] for one in await cli.json("hosts")] == ["gone", "other"]
    told = await cli.done("hosts", "delete", "gone", "--force")
    assert told == "Deleted the host gone. 2 schedules still wait for it: nightly, weekly.\n"
    assert [one["host"] for one in await cli.json("hosts")] == ["other"]
