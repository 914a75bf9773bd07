"""``--god``: past quotas and questions, and seen by everybody."""

import getpass
import os

from tests.integration.cli.test_sessions import until_running
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def test_an_operator_passes_quotas_and_is_recorded(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("quotas", "set", "site", "max_concurrent_runners", "1")
    await cli.done("launch", "site", "--detach")
    (waiting,) = await cli.json("launch", "site", "--detach")
    assert (waiting["state"], waiting["reason"]) == ("queued", "waits: 1 of 1 runners run in its project")
    assert "waits: 1 of 1 runners run" in await cli.done("sessions")
    (launched,) = await cli.json("launch", "site", "--god", "--detach")
    assert launched["state"] == "running"
    (resumed,) = await cli.json("--god", "resume", waiting["session_id"])
    assert (resumed["session_id"], resumed["state"]) == (waiting["session_id"], "running")
    assert [(one["used"], one["limit"]) for one in await cli.json("quotas", "show", "site")][3] == (3, 1)
    ended = await cli.json("--god", "kill", "all")
    assert len(ended) == 3
    assert all(one["reason"].startswith(f"ended on request of {getpass.getuser()} on ") for one in ended)

    told = [(one["session_id"], one["data"]) for one in await cli.json("events", "list", "system.god.#")]
    assert all((data["user"], data["uid"]) == (getpass.getuser(), os.getuid()) for _, data in told)
    assert [(session, data["command"], data.get("targets") or data.get("passed")) for session, data in told] == [
        (None, "launch", [launched["session_id"]]),
        (launched["session_id"], "take a slot", "waits: 1 of 1 runners run in its project"),
        (None, "resume", [waiting["session_id"]]),
        (waiting["session_id"], "take a slot", "waits: 2 of 1 runners run in its project"),
        (None, "kill", [one["session_id"] for one in ended]),
    ]
    story = await cli.done("sessions", "show", launched["session_id"])
    assert "god" in story


async def test_who_is_the_operator_is_told_by_the_kernel(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    forged = {"id": "1", "user": "nobody", "uid": 65534, "host": "h"}
    await daemon.call("set_quota", project="site", name="max-runners", value=1, god=forged)
    (event,) = await cli.json("events", "list", "system.god.#")
    assert (event["data"]["user"], event["data"]["uid"]) == (getpass.getuser(), os.getuid())
    assert event["data"]["targets"] == ["site max-runners"]


async def test_limits_of_the_configuration(daemon_process: DaemonProcess, cli: CommandLine) -> None:
    daemon = daemon_process
    await daemon.start(
        settings={"STRATAVORE_QUOTAS__MAX_CONCURRENT_RUNNERS": "1", "STRATAVORE_QUOTAS__MAX_TOKENS_PER_DAY": "100000"}
    )
    source = f"configuration of host {daemon.host}"
    shown = await cli.json("quotas", "show")
    assert [(one["name"], one["limit"], one["source"]) for one in shown] == [
        ("max_concurrent_runners", 1, source),
        ("max_memory_mb", None, None),
        ("max_tokens_per_day", 100_000, source),
    ]
    refused = await cli.refused(5, "quotas", "set", "global", "max-tokens", "5")
    assert refused.startswith(f"The limit max-tokens is set by the {source}. Change it there under 'quotas:'")
    await cli.done("--god", "quotas", "set", "--global", "max-tokens", "5")
    await cli.done("new", "site", "--", "cat")
    await cli.done("launch", "site", "-n", "2")
    daemon.end()
    # It starts without them: who waited is let in by the one that is gone; what a person had set stays.
    await daemon.start()
    await until_running(cli, 2)
    shown = await cli.json("quotas", "show")
    assert [(one["limit"], one["source"]) for one in shown] == [(None, None), (None, None), (5, None)]
    (first, second) = [one["data"]["message"] for one in await cli.json("events", "list", "system.alert.#")]
    assert first == (
        f"max_concurrent_runners is 1 now, by the {source}; max_tokens_per_day is 100000 now, by the {source}"
    )
    assert second == (f"max_concurrent_runners is not limited any more, by the {source}; it was 1, set by {source}")
    await cli.done("kill", "all")
