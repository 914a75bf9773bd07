"""A project from its beginning to its end."""

from pathlib import Path

import pytest

from stratavore.errors import RemoteError
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def test_a_project_is_shown_and_deleted(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("new", "other", "--", "cat")
    await cli.done("launch", "site", "--detach")
    await cli.done("launch", "other", "--detach")
    (session,) = await cli.json("sessions", "--project", "site")
    short = session["session_id"][:8]
    shown = await cli.json("projects", "show", "site")
    assert (shown["sessions"], shown["live_sessions"], shown["path"]) == ({"running": 1}, 1, str(site))
    assert [one["project"] for one in shown["limits"]] == [None] * 3 + ["site"] * 3
    assert "Sessions: 1 running" in await cli.done("projects", "show", "site")

    said = await cli.refused(5, "projects", "delete", "site", "--yes", "--with-history")
    assert f"has 1 live session: {short}. End what lives in it first with: stratavore kill site." in said
    await cli.done("kill", "site")
    assert "has 1 ended session with their" in await cli.refused(5, "projects", "delete", "site", "--yes")
    said = await cli.refused(2, "projects", "delete", "site", "--with-history")
    assert "Nobody can be asked here whether to delete the project site and its 1 session" in said
    assert (await cli.json("projects", "show", "site"))["sessions"] == {"ended": 1}

    home = daemon.home
    kept = [home.run_directory(f"{session['session_id']}.1"), home.session_environment(session["session_id"])]
    assert all(path.exists() for path in kept)
    assert await cli.json("projects", "delete", "site", "--with-history", "--yes") == {"name": "site", "deleted": True}
    assert not any(path.exists() for path in kept)
    assert site.is_dir()
    assert [one["name"] for one in await cli.json("projects")] == ["other"]
    assert "There is no project 'site'" in await cli.refused(3, "projects", "delete", "site", "--yes")
    assert "Nothing is called" in await cli.refused(3, "resume", short)
    (event,) = await cli.json("events", "list", "project.deleted.#")
    assert (event["project"], event["session_id"], event["data"]["sessions"]) == ("site", None, 1)
    assert len(await cli.json("events", "list", "session.created.site")) == 1, "what happened stays on the record"
    assert await cli.json("sessions", "--project", "other") != []

    await cli.done("new", "site", "--", "cat")
    assert (await cli.json("launch", "site"))[0]["state"] == "running", "the name is free again"
    repeated = await daemon.call("delete_project", project="site", project_id=event["data"]["project_id"])
    assert repeated == {"name": "site", "deleted": False}, "a repeated call means the project of then"


async def test_names_that_are_near_are_told_wherever_one_is_unknown(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    await daemon.call("launch", project="site", session_ids=["0badcafe-0000-4000-8000-000000000001"])
    await daemon.wait("0badcafe-0000-4000-8000-000000000001", "running")
    for command in (
        "logs sit",
        "kill sit",
        "sessions show sit",
        "runners --project sit",
        "projects show sit",
        "launch sit",
        "quotas show sit",
        "sit",
    ):
        assert "(did you mean 'site'?)" in await cli.refused(3, *command.split()), command
    with pytest.raises(RemoteError, match="did you mean 'site'"):
        await daemon.call("terminal", target="sit")  # what 'attach' asks
    assert "(did you mean '0badcafe'?)" in await cli.refused(3, "kill", "0badcaef")
    assert "There is no agent 'cluade' (did you mean 'claude'?)" in await cli.refused(
        2, "new", "x", "--agent", "cluade"
    )
