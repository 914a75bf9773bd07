"""What a person does at a terminal: open, type, detach, come back, watch."""

import os
import signal
import subprocess

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.person import Person
from tests.support.waiting import until

ECHO = ("sh", "-c", "echo run $STRATAVORE_RUNNER_ID; exec cat")


async def the_session(cli: CommandLine) -> str:
    """The id of the one live session."""
    (session,) = await cli.json("sessions")
    return str(session["session_id"])


async def leaves(person: Person) -> None:
    """Detach, and come back to the shell."""
    person.presses("C-b", "d")
    await person.sees("Detached; the session goes on.")
    await person.is_back()


async def test_a_project_is_opened_left_and_opened_again(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", *ECHO)
    person.stratavore("site")  # launches
    await person.sees(".1")
    person.types("said by hand")
    await person.sees("said by hand\nsaid by hand")
    await leaves(person)
    session = await the_session(cli)
    assert f"Attach again: stratavore attach {session[:8]}" in person.screen
    (runner,) = await cli.json("runners")
    assert (runner["status"], runner["runner_id"]) == ("running", f"{session}.1")

    person.stratavore("site")  # attaches
    await person.sees("said by hand\nsaid by hand")
    person.types("said again")
    await person.sees("said again\nsaid again")
    await leaves(person)
    await cli.done("kill", "site")

    person.stratavore("site")  # resumes
    await person.sees(f"{session}.2")
    await cli.done("pause", "site")
    await person.sees(f"The session {session[:8]} is paused")
    await person.is_back()
    assert f"Run it again: stratavore resume {session[:8]}" in person.screen


async def test_who_watches_cannot_type(daemon: DaemonProcess, cli: CommandLine, person: Person) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("launch", "site", "--detach")
    person.stratavore("attach", "site", "--read-only")
    await cli.done("send", "site", "for all to see")
    await person.sees("for all to see\nfor all to see")
    person.types("unheard")
    await cli.done("send", "site", "after that")
    await person.sees("after that\nafter that")
    await leaves(person)
    assert "unheard" not in await cli.done("logs", "site")


async def test_the_next_runner_is_shown_when_an_agent_dies(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", *ECHO)
    person.stratavore("launch", "site")
    await person.sees(".1")
    session = await the_session(cli)
    (runner,) = await cli.json("runners")
    os.kill(runner["pid"], signal.SIGKILL)
    await person.sees(f"run {session}.2")
    await leaves(person)
    assert f"The agent of {session[:8]} ended and runs again." in person.screen


async def test_a_tmux_server_that_dies_leaves_the_terminal_as_it_was(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", *ECHO)
    person.types("before=$(stty -g)")
    person.stratavore("launch", "site")
    await person.sees(".1")
    session = await the_session(cli)
    (socket,) = daemon.home.sockets.glob("t-*")
    asked = subprocess.run(
        ["tmux", "-S", socket, "display-message", "-p", "#{pid}"], capture_output=True, timeout=30, check=True
    )
    os.kill(int(asked.stdout), signal.SIGKILL)
    await person.sees(f"run {session}.2")
    await leaves(person)
    person.types('test "$(stty -g)" = "$before" && echo as "it was"')
    await person.sees("as it was")


async def test_a_session_that_ends_gives_the_terminal_back(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", *ECHO)
    person.stratavore("launch", "site")
    await person.sees(".1")
    session = await the_session(cli)
    person.presses("C-d")
    await person.sees("has ended: it ended by itself.")
    await person.is_back()
    person.stratavore("attach", "site")
    await person.sees("so it cannot be attached to.")
    await person.sees(f"stratavore resume {session[:8]}.")
    await person.is_back()


async def test_a_daemon_that_dies_takes_no_terminal_along(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", *ECHO)
    person.stratavore("site")
    await person.sees(".1")
    daemon.kill()
    person.types("nobody noticed")
    await person.sees("nobody noticed\nnobody noticed")
    person.presses("C-b", "d")
    await person.is_back()
    person.stratavore("attach", "site")
    await person.sees("nobody noticed\nnobody noticed")
    await leaves(person)


async def test_who_waits_in_line_may_leave_it_there(daemon: DaemonProcess, cli: CommandLine, person: Person) -> None:
    await cli.done("new", "site", "--", *ECHO)
    await cli.done("quotas", "set", "site", "max-runners", "1")
    first = (await cli.done("launch", "site", "--detach")).split()[0]
    person.stratavore("launch", "site")
    await person.sees("is queued, position 1. Ctrl-C leaves it there.")
    person.presses("C-c")
    await person.sees("stays as it is. Attach later:")
    await person.is_back()
    (waiting,) = [one for one in await cli.json("sessions") if one["state"] == "queued"]
    person.stratavore("attach", waiting["session_id"])
    await person.sees("queued, position 1 … (")
    await cli.done("kill", first)
    await person.sees(f"{waiting['session_id']}.1")
    await leaves(person)


async def test_status_is_watched_until_q(daemon: DaemonProcess, cli: CommandLine, person: Person) -> None:
    await cli.done("new", "site", "--", "cat")
    person.stratavore("status", "--watch")
    await person.sees("1 project, 0 live sessions")
    await cli.done("launch", "site", "--detach")
    await person.sees("1 project, 1 live session: 1 running")
    daemon.kill()
    await person.sees("The daemon is not running; this is what is recorded.")
    assert "running" in person.screen
    await daemon.start()
    person.presses("q")
    await person.is_back()


async def test_a_person_is_asked_before_all_sessions_end(
    daemon: DaemonProcess, cli: CommandLine, person: Person
) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("launch", "site", "--count", "2")
    person.stratavore("kill", "all")
    await person.sees("End 2 sessions? [y/N]:")
    person.types("n")
    await person.sees("Nothing was ended.")
    await person.is_back()
    assert len(await cli.json("sessions")) == 2
    person.stratavore("kill", "all")
    await until(lambda: person.screen.count("[y/N]:") == 2, what="the question")
    person.types("y")
    await until(lambda: person.screen.count("  ended\n") == 2, what="the end of both")
    assert await cli.json("sessions") == []
