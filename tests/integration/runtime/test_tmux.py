"""Terminals: ours alone, exact by name, typed into whole, and shown to anybody without harm."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from stratavore.runtime.processes import Liveness, identify, liveness
from stratavore.runtime.rundir import RunSpec
from stratavore.runtime.tmux import TerminalFailed
from tests.integration.runtime.runners import ENVIRONMENT, Runners
from tests.support.terminal import PersonTerminal, person_terminal
from tests.support.waiting import PATIENCE_SECONDS, until

READER = """
import os, sys, tty
tty.setraw(0)
sys.stdout.write(sys.argv[1] + "ready")
sys.stdout.flush()
with open("typed", "ab", buffering=0) as file:
    while True:
        file.write(os.read(0, 65536))
"""
BRACKETED = "\x1b[?2004h"


async def option(runners: Runners, name: str) -> str:
    return (await runners.tmux._ask(runners.project_id, "show-options", "-gv", name) or "").strip()


async def test_the_users_configuration_is_never_read(
    runners: Runners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt = tmp_path / "hurt"
    (tmp_path / ".config/tmux").mkdir(parents=True)
    for file in (tmp_path / ".tmux.conf", tmp_path / ".config/tmux/tmux.conf"):
        file.write_text(f"set -g status-left mine\nset -g prefix C-a\nrun-shell 'touch {hurt}'\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    await runners.launch(runners.spec("sleep", "1000"))
    assert "@project" in await option(runners, "status-left")
    assert await option(runners, "prefix") == "C-b"
    assert await option(runners, "remain-on-exit") == "on"
    assert not hurt.exists()


async def test_each_project_has_a_server_of_its_own(runners: Runners) -> None:
    other = Runners.__new__(Runners)
    other.__dict__ |= runners.__dict__ | {"project_id": "99999999-0000-4000-8000-000000000000"}
    mine, theirs = runners.spec("sleep", "1000"), other.spec("sleep", "1000")
    await runners.launch(mine)
    agent = await other.agent(theirs)
    assert runners.home.tmux_socket(mine.project_id) != runners.home.tmux_socket(theirs.project_id)
    os.kill(await runners.server(), signal.SIGKILL)
    await until(lambda: runners.host.look(mine.runner_id).lost)
    assert liveness(agent) is Liveness.ALIVE
    assert set(await runners.tmux.runners(other.project_id)) == {theirs.runner_id}


async def test_a_terminal_stays_after_its_program(runners: Runners) -> None:
    spec = runners.shell("echo the last words")
    await runners.launch(spec)
    await runners.exit(spec)
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    while pane and not pane.dead:
        pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    assert pane is not None
    screen = await runners.tmux.capture(spec.project_id, spec.runner_id)
    assert screen is not None and screen.split("\n")[0] == "the last words"
    await runners.tmux.kill(spec.project_id, spec.runner_id)
    assert await runners.tmux.pane(spec.project_id, spec.runner_id) is None


async def test_starting_twice_leaves_what_is_there(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    await asyncio.gather(*(runners.tmux.start(spec) for _ in range(3)))
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    assert started.wrapper and pane and (pane.pid, pane.dead, pane.logged) == (started.wrapper.pid, False, True)
    assert set(await runners.tmux.runners(spec.project_id)) == {spec.runner_id}


async def test_names_are_exact(runners: Runners) -> None:
    """A runner's id begins like that of a later one of the same session."""
    spec = runners.spec("cat")
    tenth = replace(spec, runner_id=f"{spec.session_id}.10", generation=10)
    tenth_files = runners.files(tenth)
    tenth_files.prepare(tenth, ENVIRONMENT)
    await runners.tmux.start(tenth)
    await until(tenth_files.agent, what="the tenth runner")
    assert await runners.tmux.pane(spec.project_id, spec.runner_id) is None
    assert await runners.tmux.capture(spec.project_id, spec.runner_id) is None
    with pytest.raises(TerminalFailed):
        await runners.tmux.type_text(spec.project_id, spec.runner_id, "for the first", enter=True)
    await runners.tmux.set_options(spec.project_id, {spec.runner_id: {"@activity": "busy"}})
    await runners.tmux.kill(spec.project_id, spec.runner_id)
    assert await runners.tmux.pane(tenth.project_id, tenth.runner_id)
    await runners.tmux.type_text(tenth.project_id, tenth.runner_id, "for the tenth", enter=True)
    await runners.shows(tenth, "for the tenth")
    assert "for the first" not in tenth_files.log.read_text()


async def reader(runners: Runners, mode: str = "") -> RunSpec:
    spec = runners.python(READER, mode)
    await runners.launch(spec)
    await runners.shows(spec, "ready")
    return spec


async def typed(runners: Runners, expected: bytes) -> None:
    path = runners.work / "typed"
    await until(lambda: path.exists() and len(path.read_bytes()) >= len(expected), what=f"{expected[:80]!r}")
    assert path.read_bytes() == expected


TEXTS = {
    "plain": ("fix the test", b"fix the test"),
    "lines": ("one\ntwo\r\nthree\n", b"one\rtwo\rthree\r"),
    "unicode": ("grüße 🦜 \u202e ＡＢ e\u0301", "grüße 🦜 \u202e ＡＢ e\u0301".encode()),
    "quoting": ("$HOME `id` 'a' \"b\" \\ ; #{pane_id} #(id) %H ~", b"$HOME `id` 'a' \"b\" \\ ; #{pane_id} #(id) %H ~"),
    "keys": ("C-c Escape Enter -x", b"C-c Escape Enter -x"),
    "tab": ("a\tb", b"a\tb"),
    "controls": ("a\x03\x1b[201~\x04\x9bb\x7f\x00c\rd", b"a[201~bcd"),
    "dash": ("-l", b"-l"),
}


@pytest.mark.parametrize("enter", [True, False])
@pytest.mark.parametrize("text", TEXTS)
async def test_text_arrives_whole(runners: Runners, text: str, enter: bool) -> None:
    spec = await reader(runners)
    given, expected = TEXTS[text]
    await runners.tmux.type_text(spec.project_id, spec.runner_id, given, enter=enter)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "|", enter=False)
    await typed(runners, expected + (b"\r" if enter else b"") + b"|")


async def test_text_is_a_paste_for_who_can_tell_and_enter_is_none(runners: Runners) -> None:
    spec = await reader(runners, BRACKETED)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "one\ntwo\x1b[201~three", enter=True)
    await typed(runners, b"\x1b[200~one\rtwo[201~three\x1b[201~\r")


async def test_a_long_text_arrives_whole(runners: Runners) -> None:
    spec = await reader(runners)
    text = "".join(f"line {number} ü\n" for number in range(20_000))
    await runners.tmux.type_text(spec.project_id, spec.runner_id, text, enter=True)
    await typed(runners, text.replace("\n", "\r").encode() + b"\r")


async def test_nothing_is_left_of_what_was_typed(runners: Runners) -> None:
    """A paste buffer could be pasted into another session by whoever attaches to it."""
    spec = await reader(runners)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "secret", enter=True)
    assert await runners.tmux._ask(spec.project_id, "list-buffers") == ""


async def test_text_reaches_a_program_that_somebody_scrolls(runners: Runners) -> None:
    spec = await reader(runners)
    await runners.tmux._must(spec.project_id, "copy-mode", "-t", f"={spec.runner_id.replace('.', '_')}:")
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "text", enter=True)
    await typed(runners, b"text\r")


async def test_text_for_a_program_that_has_ended_is_refused(runners: Runners) -> None:
    spec = runners.spec("true")
    await runners.launch(spec)
    await runners.exit(spec)
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    while pane and not pane.dead:
        pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    with pytest.raises(TerminalFailed):
        await runners.tmux.type_text(spec.project_id, spec.runner_id, "text", enter=True)
    assert await runners.tmux._ask(spec.project_id, "list-buffers") == ""


@contextmanager
def attached(runners: Runners, spec: RunSpec, *, read_only: bool = False) -> Iterator[PersonTerminal]:
    with person_terminal(runners.tmux.attach_argv(spec.project_id, spec.runner_id, read_only=read_only)) as terminal:
        terminal.until("detach: C-b d")
        yield terminal


async def test_who_attaches_types_and_leaves_and_the_agent_stays(runners: Runners) -> None:
    spec = runners.spec("cat")
    agent = await runners.agent(spec)
    with attached(runners, spec) as person:
        person.type("hello there\r")
        await runners.shows(spec, "hello there\r\nhello there")
        person.type("\x02d")
        assert person.ended() == 0
        assert "[detached" in person.shown
    assert liveness(agent) is Liveness.ALIVE
    with attached(runners, spec) as again:
        again.type("back\r")
        await runners.shows(spec, "back\r\nback")
    assert liveness(agent) is Liveness.ALIVE


async def test_attaching_from_within_another_tmux(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/other,1,1")
    spec = runners.spec("cat")
    await runners.launch(spec)
    with attached(runners, spec) as person:
        person.type("inside\r")
        await runners.shows(spec, "inside\r\ninside")


async def test_a_watcher_cannot_type(runners: Runners) -> None:
    spec = runners.spec("cat")
    await runners.launch(spec)
    with attached(runners, spec) as person, attached(runners, spec, read_only=True) as watcher:
        watcher.type("not this\r\x03\x04")
        person.type("only this\r")
        await runners.shows(spec, "only this\r\nonly this")
        watcher.until("only this")
        watcher.type("\x02d")
        assert watcher.ended() == 0
    assert "not this" not in runners.files(spec).log.read_text()
    assert runners.host.look(spec.runner_id).identity is not None


async def test_a_terminal_that_is_closed_hurts_nothing(runners: Runners) -> None:
    spec = runners.spec("cat")
    agent = await runners.agent(spec)
    with attached(runners, spec) as person, attached(runners, spec) as other:
        person.close()
        assert person.process.wait(PATIENCE_SECONDS) is not None
        other.process.kill()
        other.process.wait(PATIENCE_SECONDS)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "still here", enter=True)
    await runners.shows(spec, "still here\r\nstill here")
    assert liveness(agent) is Liveness.ALIVE


async def prefixed(runners: Runners, expected: str) -> None:
    """Wait until the client took the key for what it is: keys that come as fast as in a paste are text."""
    while (await runners.tmux._must(runners.project_id, "list-clients", "-F", "#{client_prefix}")).strip() != expected:
        pass


async def test_keys_that_would_open_rename_or_end_do_nothing(runners: Runners) -> None:
    spec = runners.spec("cat")
    agent = await runners.agent(spec)
    with attached(runners, spec) as person:
        for key in 'c"%x&:$,!':
            person.type("\x02")
            await prefixed(runners, "1")
            person.type(key)
            await prefixed(runners, "0")
        person.type("\ryes\r")
        await runners.shows(spec, "yes\r\n")
    assert not set('c"%x&:$,!') & set(runners.files(spec).log.read_text())
    panes = await runners.tmux._ask(spec.project_id, "list-panes", "-a", "-F", "#{session_name}")
    assert panes == spec.runner_id.replace(".", "_") + "\n"
    assert liveness(agent) is Liveness.ALIVE


async def test_the_status_line_tells_project_session_and_activity(runners: Runners) -> None:
    spec = replace(runners.spec("cat"), project="site-2")
    await runners.launch(spec)
    argv = runners.tmux.attach_argv(spec.project_id, spec.runner_id, read_only=True)
    with person_terminal(argv, cols=120) as person:
        person.until(spec.session_id[:8])
        await runners.tmux.set_options(
            spec.project_id, {spec.runner_id: {"@activity": "busy", "@tokens": "12k"}, "no-such.1": {"@activity": "x"}}
        )
        person.until("busy  12k tokens")
    for read_only, text in ((False, "site-2"), (True, "watching")):
        argv = runners.tmux.attach_argv(spec.project_id, spec.runner_id, read_only=read_only)
        with person_terminal(argv, cols=120) as person:
            person.until(text)


async def test_attaching_to_nothing_starts_no_server(runners: Runners) -> None:
    with person_terminal(runners.tmux.attach_argv(runners.project_id, "none.1", read_only=False)) as person:
        assert person.ended() == 1
    assert not runners.home.tmux_socket(runners.project_id).exists()


async def test_a_server_that_hangs_is_a_failure_and_no_end(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, later = runners.spec("cat"), runners.spec("cat")
    agent = await runners.agent(spec)
    server = await runners.server()
    monkeypatch.setattr("stratavore.runtime.tmux.CALL_SECONDS", 0.2)
    os.kill(server, signal.SIGSTOP)
    try:
        for call in (
            runners.tmux.start(later),
            runners.tmux.pane(spec.project_id, spec.runner_id),
            runners.tmux.runners(spec.project_id),
            runners.tmux.capture(spec.project_id, spec.runner_id),
            runners.tmux.type_text(spec.project_id, spec.runner_id, "x", enter=True),
            runners.tmux.set_options(spec.project_id, {spec.runner_id: {"@activity": "busy"}}),
            runners.tmux.kill(spec.project_id, "another.1"),
        ):
            with pytest.raises(TerminalFailed, match="no answer"):
                await call
        assert liveness(agent) is Liveness.ALIVE
    finally:
        os.kill(server, signal.SIGCONT)
    monkeypatch.undo()
    assert liveness(agent) is Liveness.ALIVE
    assert identify(server)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "and on", enter=True)
    await runners.shows(spec, "and on\r\nand on")
