"""The daemon is killed between what it did and its answer: the command ends well, and nothing is done twice."""

from typing import Any

from tests.support.api_front import killed_after
from tests.support.command_line import CommandLine, Result
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

AWAY = "The daemon is not running: "


async def unanswered(
    daemon: DaemonProcess, cli: CommandLine, method: str, *words: str, state: str | None = None
) -> Result:
    """What a command says whose call of ``method`` is done and not answered; the daemon is back after it."""
    async with killed_after(daemon.home, method, daemon.kill, state) as called:
        result = await cli(*words)
    assert state or called.count(method) == 1
    assert result.code == 0, result
    assert result.err.startswith(AWAY)
    assert result.err.count("\n") == 1, "said once"
    await daemon.start()
    return result


async def becomes(daemon: DaemonProcess, session: str, state: str, generation: int) -> None:
    """Wait until a session is in a state, and see that it has had so many runners."""

    async def settled() -> bool:
        found = await daemon.call("find_session", target=session)
        return bool((found["state"], found["generation"]) == (state, generation))

    await answer(settled, what=f"{state} in run {generation}")
    assert len(await daemon.call("session_runners", session_id=session)) == generation


async def test_sessions(daemon: DaemonProcess, cli: CommandLine) -> None:
    async def both() -> list[Any]:
        found = await daemon.call("list_sessions", all=True)
        return found if len(found) > 1 else []

    await cli.done("new", "site", "--", "cat")
    launched = await unanswered(daemon, cli, "launch", "launch", "site", "--count", "2")
    sessions = [one["session_id"] for one in await answer(both, what="two sessions")]
    assert {one[:8] for one in sessions} == {line[:8] for line in launched.out.splitlines()[:2]}
    for one in sessions:
        await daemon.wait(one, "running")

    killed, restarted = sessions
    assert (await unanswered(daemon, cli, "command", "kill", killed)).out == ""
    assert (await unanswered(daemon, cli, "restart", "restart", restarted)).out == ""
    await becomes(daemon, killed, "ended", 1)
    await becomes(daemon, restarted, "running", 2)
    assert len(await daemon.call("list_sessions", all=True)) == 2


async def test_what_was_waited_for_is_seen_without_the_daemon(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    launched = await unanswered(daemon, cli, "wait", "launch", "site", state="running")
    short = launched.out[:8]
    assert launched.out.startswith(f"{short}  running\n")
    sent = await unanswered(daemon, cli, "send", "send", "site", "typed once")
    assert (sent.out, sent.err.count("the text is noted")) == ("", 1)
    (session,) = await daemon.call("list_sessions")
    log = daemon.home.run_directory(session["runner_id"]) / "log"
    await cli.done("send", "site", "and another")
    await until(lambda: log.read_text().count("and another") == 2, what="echo and output of cat")
    assert log.read_text().count("typed once") == 2, "the echo, and what cat wrote"

    limited = await unanswered(daemon, cli, "set_quota", "quotas", "set", "site", "max-runners", "3")
    assert ["site", "max-runners", "3", "1"] in [line.split()[:4] for line in limited.out.splitlines()]
    ended = await unanswered(daemon, cli, "wait", "kill", "site", state="ended")
    assert ended.out == f"{short}  ended\n"
    await becomes(daemon, session["session_id"], "ended", 1)


async def test_what_another_daemon_did_before_the_command_asked_again_is_done(
    daemon: DaemonProcess, cli: CommandLine
) -> None:
    """A daemon dies over its answer; when the command asks once more, another host's daemon has done it already."""
    await cli.done("new", "site", "--", "cat")
    await cli.done("launch", "site", "--detach")
    for word, state in (("pause", "paused"), ("kill", "ended")):
        await cli.done(word, "site")
        assert f"is {state} already" in await cli.refused(5, word, (await _session(daemon))[:8])
        short = (await _session(daemon))[:8]
        daemon.kill()
        again = await cli(word, short)
        assert (again.code, again.err.startswith(AWAY)) == (0, True)
        await daemon.start()


async def _session(daemon: DaemonProcess) -> str:
    (session,) = await daemon.call("list_sessions", all=True)
    return str(session["session_id"])
