"""What is used, by the counts and measures of real servers."""

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer

USED = """
INSERT INTO usage (session_id, message_id, runner_id, model, at, input_tokens, output_tokens, cache_creation_tokens,
                   cache_read_tokens, cost_usd)
SELECT $1::uuid, n::text, $2, CASE WHEN n > 1 THEN 'opus' END, '2026-01-30T23:30Z'::timestamptz + n * interval '1 hour',
       n, 10 * n, 100 * n, 1000 * n, CASE WHEN n > 1 THEN 0.5 END
FROM generate_series(0, 3) AS n
"""


async def test_tokens_are_counted_by_what_is_asked_for(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    assert (await cli("tokens")).err == "No tokens were counted.\n"
    (session,) = await cli.json("launch", "site")
    await daemon.fetch(USED, session["session_id"], f"{session['session_id']}.1")

    (project,) = await cli.json("tokens")
    assert (project["key"], project["replies"], project["tokens_used"]) == ("site", 4, 6 * 1111)
    assert (project["cost_usd"], project["unpriced_tokens"]) == (1.0, 1111)
    (of_session,) = await cli.json("tokens", "--by", "session", "--project", "site")
    assert (of_session["key"], of_session["project"]) == (session["session_id"], "site")
    by_model = await cli.json("tokens", "--by", "model")
    assert [(one["key"], one["input_tokens"]) for one in by_model] == [("opus", 5), (None, 1)]
    by_day = await cli.json("tokens", "--by", "day")
    assert [(one["key"], one["replies"]) for one in by_day] == [("2026-01-30", 1), ("2026-01-31", 3)]
    (late,) = await cli.json("tokens", "--since", "2026-01-31T02:00:00+00:00")
    assert late["replies"] == 1
    assert "There is no project 'sit' (did you mean 'site'?)" in await cli.refused(3, "tokens", "-p", "sit")


async def test_what_was_used_is_exported(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    assert (await cli.done("tokens", "export")).count("\n") == 1, "the header alone"
    (session,) = await cli.json("launch", "site")
    id_ = session["session_id"]
    await daemon.fetch(USED, id_, f"{id_}.1")
    header, *lines = (await cli.done("tokens", "export")).splitlines()
    assert header.startswith("day,project,session_id,model,replies,input_tokens,")
    assert lines == [
        f"2026-01-30,site,{id_},,1,0,0,0,0,0,,0",
        f"2026-01-31,site,{id_},,1,1,10,100,1000,1111,,1111",
        f"2026-01-31,site,{id_},opus,2,5,50,500,5000,5555,1,0",
    ]
    of_a_day = await cli.json("tokens", "export", "--since", "2026-01-30", "--until", "2026-01-30", "-p", "site")
    assert [(one["day"], one["cost_usd"], one["replies"]) for one in of_a_day] == [("2026-01-30", None, 1)]
    assert await cli.done("tokens", "export", "used.csv", "--since", "2026-01-31") == ""
    assert (cli.directory / "used.csv").read_text().splitlines() == [header, *lines[1:]]
    assert "is before --since" in await cli.refused(2, "tokens", "export", "--since", "7d", "--until", "9d")
    assert "There is no project 'sit'" in await cli.refused(3, "tokens", "export", "-p", "sit")
    assert "cannot be written" in await cli.refused(2, "tokens", "export", "missing/used.csv")


async def test_resources_and_versions_are_told(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("launch", "site", "--detach")

    async def measured() -> bool:
        return any(one["memory_mb"] for one in await cli.json("runners"))

    await answer(measured, what="a measured runner")
    found = await cli.json("resources")
    (host,) = found["hosts"]
    assert (host["host"], host["up"], host["runners"]) == (daemon.host, True, 1)
    assert 0 < host["memory_mb"] < host["machine"]["memory_mb"]
    assert [(one["project"], one["runners"]) for one in found["projects"]] == [("site", 1)]

    versions = await cli.json("version")
    assert versions["client"] == versions["daemon"]
    assert versions["servers"].pop("rabbitmq") is None, "there is none here"
    assert all(said and said[0].isdigit() for said in versions["servers"].values()), versions
