"""``stratavore schedule``, as it is typed."""

import pytest

from stratavore.environment import read_environment
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer

WEEKLY = ("--cron", "0 9 * * 1", "--prompt", "go")


async def run(cli: CommandLine, name: str) -> str:
    """Run a schedule for the first time. Returns its session, which the command names unless it is late."""
    (shown,) = await cli.json("schedule", "run", name)

    async def launched() -> str:
        (found,) = [one for one in await cli.json("schedule", "list") if one["name"] == name]
        return str(found["last_session_id"] or "")

    session = await answer(launched, what="its launch")
    assert shown["last_session_id"] in (session, None)
    return session


async def test_from_its_creation_to_its_end(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    assert (await cli("schedule")).err == "No schedules. Create one with: stratavore schedule create\n"
    shell = cli.with_settings(KEY="of a shell", STRATAVORE_SECRET="not kept")
    (made,) = await shell.json("schedule", "create", "site", *WEEKLY, "--timezone", "Europe/Berlin", "--name", "weekly")
    assert (made["name"], made["cron"], made["timezone"]) == ("weekly", "0 9 * * 1", "Europe/Berlin")
    assert (made["overlap"], made["host"], made["interactive"]) == ("skip", daemon.host, False)
    kept = read_environment(daemon.home.schedule_environment(made["schedule_id"]))
    assert (kept["KEY"], "STRATAVORE_SECRET" in kept) == ("of a shell", False)

    session = await run(cli, "weekly")
    await daemon.wait(session, "ended")
    assert read_environment(daemon.home.session_environment(session))["KEY"] == "of a shell"
    assert (await cli.done("logs", session[:8])).strip() == "go"

    rested = await cli.done("schedule", "pause", "weekly")
    assert rested.splitlines()[1].split()[:4] == ["weekly", "site", "Mon", "at"]
    assert " paused " in rested
    assert f"{session[:8]} ended" in rested
    assert " paused " not in await cli.done("schedule", "resume", "weekly")
    assert await cli.done("schedule", "delete", "weekly") == "Deleted the schedule weekly.\n"
    assert not daemon.home.schedule_environment(made["schedule_id"]).exists()
    assert "There is no schedule 'weekly'" in await cli.refused(3, "schedule", "delete", "weekly")


async def test_each_launch_has_limits_of_its_own(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    (made,) = await cli.json("schedule", "create", "site", *WEEKLY, "--max-tokens", "7000", "--max-memory", "300")
    session = await run(cli, made["name"])
    await daemon.wait(session, "ended")
    limits = await daemon.fetch("SELECT name, value FROM limits WHERE scope = 'session' AND scope_id = $1", session)
    assert {row["name"]: row["value"] for row in limits} == {"max_tokens_per_day": 7000, "max_memory_mb": 300}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("site", "--prompt", "go"), 2, "Say when with --cron"),
        (("site", "--cron", "0 25 * * *", "--prompt", "go"), 2, "'25' is no hour from 0 to 23"),
        (("site", *WEEKLY, "--timezone", "Europe/Berln"), 2, "There is no time zone 'Europe/Berln' (did you mean"),
        (("site", *WEEKLY, "--name", "a/b"), 2, "'a/b' cannot be a schedule's name"),
        (("site", *WEEKLY, "--overlap", "never"), 2, "'never' is none of skip, buffer, allow, replace"),
        (("site", *WEEKLY, "--host", "elsewhere"), 3, "elsewhere"),
        (("site", "--cron", "@daily"), 2, "say it with --prompt"),
        (("site", *WEEKLY, "--max-tokens", "many"), 2, "max-tokens is a whole number of tokens"),
        (("sit", *WEEKLY), 3, "There is no project 'sit' (did you mean 'site'?)"),
        (("site", *WEEKLY, "--", "no-such-program"), 6, "no-such-program"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_what_is_wrong_is_said_in_one_sentence(
    daemon: DaemonProcess, cli: CommandLine, words: tuple[str, ...], code: int, told: str
) -> None:
    await cli.done("new", "site", "--", "cat")
    assert told in await cli.refused(code, "schedule", "create", *words)
    assert await cli.json("schedule", "list") == []
    assert list(daemon.home.schedules.glob("*")) == [], "no secrets are left"
