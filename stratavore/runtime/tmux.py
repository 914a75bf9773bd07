"""The terminals of runners: one tmux server a project, one tmux session a runner.

Commands that concern many runners travel as one script on the standard input of one client; a line that fails
does not hold up the next. No shell parses a person's string here, and what tmux itself would expand is
quoted.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

from stratavore.errors import EXIT_UNAVAILABLE, ServerMissing, StratavoreError
from stratavore.paths import Home
from stratavore.runtime.batch import Batch
from stratavore.runtime.client import Answer, run
from stratavore.runtime.processes import HOME_MARKER, RUNNER_MARKER, SESSION_MARKER
from stratavore.runtime.rundir import RunSpec
from stratavore.runtime.tmux_version import INSTALL

CALL_SECONDS = 15.0
_TERMINFO = (
    "/etc/terminfo",
    "/lib/terminfo",
    "/usr/share/terminfo",
    "/usr/lib/terminfo",
    "/usr/local/share/terminfo",
)
# What tmux says when there is no such terminal, and that is all that is wrong.
_ABSENT = re.compile(
    r"no server running|can't find (session|pane|window)|no such session|no current (target|session)"
    r"|error connecting to .*\((No such file or directory|Connection refused)\)|server exited|lost server"
)
_PANE = "#{session_name} #{pane_pid} #{pane_dead} #{pane_pipe} #{session_attached}"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TerminalFailed(StratavoreError):
    """The project's terminal server failed: {reason}. Look with: tmux -S {socket} list-sessions."""

    code = "terminal_failed"
    exit_code = EXIT_UNAVAILABLE


@dataclass(frozen=True)
class PaneInfo:
    """A runner's terminal. ``pid`` is the wrapper's; ``logged``: its output is kept; ``attached``: somebody looks."""

    pid: int
    dead: bool
    logged: bool
    attached: bool = False


class Tmux:
    """The terminals of one state directory."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._starts: dict[str, Batch[RunSpec, None]] = {}

    async def start(self, spec: RunSpec) -> None:
        """Open the runner's terminal and start its wrapper there. One that exists already is left as it is.

        Raises:
            TerminalFailed: tmux could not open it.
            ServerMissing: tmux is not installed.
        """
        batch = self._starts.get(spec.project_id)
        if batch is None:
            project_id = spec.project_id
            batch = self._starts[project_id] = Batch(lambda specs: self._start_all(project_id, specs))
        await batch(spec)

    async def capture(self, project_id: str, runner_id: str) -> str | None:
        """The screen as text; ``None``: no such terminal."""
        return await self._ask(project_id, "capture-pane", "-p", "-t", target(runner_id))

    async def screens(self, project_id: str, runner_ids: Sequence[str]) -> dict[str, str]:
        """The screens of many runners as text; who has no terminal is left out."""
        mark = uuid4().hex
        lines = [
            f"display-message -p -t {pane} '{mark} #{{session_name}}' ; capture-pane -p -t {pane}"
            for pane in (quote(target(runner_id)) for runner_id in runner_ids)
        ]
        answer = await self._call(project_id, "source-file", "-", script="\n".join(lines) + "\n")
        shown = (part.partition("\n") for part in answer.output.split(f"{mark} ")[1:])
        return {runner_of(name): screen for name, _, screen in shown}

    async def press(self, project_id: str, runner_id: str, keys: Sequence[str]) -> None:
        """Press keys, by tmux's names for them.

        Raises:
            TerminalFailed: there is no such terminal.
        """
        if keys:
            await self._must(project_id, "send-keys", "-t", target(runner_id), *keys)

    async def type_text(self, project_id: str, runner_id: str, text: str, *, enter: bool) -> None:
        """Type the text as a person would paste it, whole, then Enter as a keystroke of its own.

        Control characters are left out: they would be keystrokes (Ctrl-C, Escape) and not text.

        Raises:
            TerminalFailed: there is no such terminal, or its program has ended.
        """
        pane = target(runner_id)
        clean = _CONTROL.sub("", text.replace("\r\n", "\n"))
        # A person who scrolls holds the keyboard: leave the scrolling first.
        leave = ("copy-mode", "-q", "-t", pane, ";")
        load: tuple[str, ...] = ()
        paste, refuse = "", "display-message -p ended"
        if clean:
            buffer = uuid4().hex
            load = ("load-buffer", "-b", buffer, "-", ";")
            paste, refuse = f"paste-buffer -p -d -b {buffer} -t {quote(pane)}", f"{refuse} ; delete-buffer -b {buffer}"
        # Asked and pasted within one turn of the server's loop: tmux 3.3a dies of a paste into an ended program's
        # pane, and with it every terminal of the project.
        ended = ("if-shell", "-F", "-t", pane, "#{pane_dead}", refuse, paste)
        if await self._must(project_id, *leave, *load, *ended, script=clean):
            raise self._failed("the program has ended", project_id)
        if enter:
            await self._must(project_id, "send-keys", "-t", pane, "Enter")

    async def set_options(self, project_id: str, options: Mapping[str, Mapping[str, str]]) -> None:
        """Set options of many runners' terminals (``@activity`` ...); who has no terminal is passed over."""
        lines = [
            f"set-option -t {quote(target(runner_id))} {quote(name)} {quote(value)}"
            for runner_id, values in options.items()
            for name, value in values.items()
        ]
        if lines:
            await self._call(project_id, "source-file", "-", script="\n".join(lines) + "\n")

    async def kill(self, project_id: str, runner_id: str) -> None:
        """Close the runner's terminal; nothing happens if there is none."""
        await self._ask(project_id, "kill-session", "-t", f"={session_name(runner_id)}")

    async def runners(self, project_id: str) -> dict[str, PaneInfo]:
        """The runners that have a terminal, ended ones too."""
        return _panes(await self._ask(project_id, "list-panes", "-a", "-F", _PANE))

    async def pane(self, project_id: str, runner_id: str) -> PaneInfo | None:
        """The runner's terminal, if it has one."""
        only = ("-s", "-t", f"={session_name(runner_id)}")
        return _panes(await self._ask(project_id, "list-panes", *only, "-F", _PANE)).get(runner_id)

    async def log_again(self, project_id: str, runner_id: str) -> None:
        """Keep what a terminal writes, where that has stopped (``PaneInfo.logged``)."""
        await self._call(project_id, "source-file", "-", script=_log_if_not_logged(runner_id))

    def attach_argv(self, project_id: str, runner_id: str, *, read_only: bool) -> list[str]:
        """What a person's terminal runs to show the runner's. Leaving it ends nothing."""
        without = ["env", "-u", "TMUX", "-u", "TMUX_PANE"]  # inside another tmux it would refuse
        command = ["attach-session", *(["-r"] if read_only else []), "-t", f"={session_name(runner_id)}"]
        return [*without, "tmux", "-u", "-N", "-S", str(self._home.tmux_socket(project_id)), *command]

    async def _start_all(self, project_id: str, specs: Sequence[RunSpec]) -> list[BaseException | None]:
        opened, errors = await self._start_some(project_id, specs)
        results: list[BaseException | None] = []
        for spec in specs:
            # Alone once more, to know whose error it was; or because an ending server took the first try
            # along.
            if spec.runner_id not in opened and (len(specs) > 1 or _ABSENT.search(errors)):
                again, errors = await self._start_some(project_id, [spec])
                opened |= again
            fine = spec.runner_id in opened
            results.append(None if fine else self._failed(errors or "it opened no terminal", project_id))
        return results

    async def _start_some(self, project_id: str, specs: Sequence[RunSpec]) -> tuple[set[str], str]:
        """Start the runners; returns those that have a terminal now, and what tmux said."""
        wrapper = self._installed("wrapper.sh")
        script = "".join(_start_script(spec, wrapper) for spec in specs)
        answer = await self._call(project_id, "start-server", ";", "source-file", "-", script=script)
        return {runner_of(name) for name in answer.output.split()}, answer.errors

    async def _ask(self, project_id: str, *command: str) -> str | None:
        """The output; ``None`` if there is no such server or session."""
        answer = await self._call(project_id, *command)
        if _absent(answer):
            return None
        if answer.code != 0:
            raise self._failed(answer.errors, project_id)
        return answer.output

    async def _must(self, project_id: str, *command: str, script: str = "") -> str:
        answer = await self._call(project_id, *command, script=script)
        if answer.code != 0:
            raise self._failed(answer.errors, project_id)
        return answer.output

    async def _call(self, project_id: str, *command: str, script: str = "") -> Answer:
        """Run one tmux client in the state directory."""
        argv = (
            "tmux",
            "-u",
            "-S",
            str(self._home.tmux_socket(project_id)),
            "-f",
            self._installed("tmux.conf"),
            *command,
        )
        try:
            return await run(
                argv,
                cwd=self._home.root,
                environment=_environment(self._home),
                input_=script,
                timeout=CALL_SECONDS,
            )
        except FileNotFoundError as error:
            raise ServerMissing(server="tmux", reason=str(error), hint=INSTALL) from error
        except TimeoutError as error:
            raise self._failed(f"no answer in {CALL_SECONDS:g} s", project_id) from error

    def _failed(self, reason: str, project_id: str) -> TerminalFailed:
        said = reason.strip().replace("\n", "; ") or "it gave no reason"
        return TerminalFailed(reason=said, socket=self._home.tmux_socket(project_id))

    def _installed(self, name: str) -> str:
        """The name of our copy of a packaged file in the state directory."""
        copy, content = _packaged(name)
        path = self._home.root / copy
        if not path.exists():
            temporary = path.with_suffix(f".{os.getpid()}.new")
            temporary.write_bytes(content)
            temporary.replace(path)
        return copy


def _absent(answer: Answer) -> bool:
    """There is no such server or session, and nothing else is wrong."""
    return answer.code != 0 and bool(_ABSENT.search(answer.errors))


def session_name(runner_id: str) -> str:
    """The name of a runner's tmux session: tmux gives '.' and ':' a meaning of their own."""
    return runner_id.replace(".", "_")


def runner_of(name: str) -> str:
    """The runner whose tmux session has this name."""
    return name.replace("_", ".")


def target(runner_id: str) -> str:
    """The runner's pane, by its exact name: without '=' tmux takes any name that begins so."""
    return f"={session_name(runner_id)}:"


def quote(word: str) -> str:
    """One word of a tmux script."""
    return "'" + re.sub(r"[\x00-\x1f\x7f]", " ", word).replace("'", "'\"'\"'") + "'"


def _panes(listed: str | None) -> dict[str, PaneInfo]:
    found = {}
    for line in (listed or "").splitlines():
        name, pid, dead, pipe, attached = line.split()
        found[runner_of(name)] = PaneInfo(int(pid), dead == "1", pipe == "1", attached != "0")
    return found


def _start_script(spec: RunSpec, wrapper: str) -> str:
    # Paths are relative to the state directory, where client and server run: nothing in them needs quoting.
    # The pipe is laid before tmux reads from the terminal for the first time, so the log has everything.
    name, pane = session_name(spec.runner_id), quote(target(spec.runner_id))
    new = (
        f"new-session -d -s {name} -n {quote(spec.agent)} -x {spec.cols} -y {spec.rows}"
        f" -e {quote(f'{SESSION_MARKER}={spec.session_id}')} -e {quote(f'{RUNNER_MARKER}={spec.runner_id}')}"
        f" /bin/sh {wrapper} runners/{spec.runner_id}"
    )
    log = f"pipe-pane -o -t {pane} {quote(_log_command(spec.runner_id))}"
    shown = {"@project": spec.project, "@session": spec.session_id[:8], "@activity": "starting"}
    options = " ; ".join(f"set-option -t {pane} {key} {quote(value)}" for key, value in shown.items())
    # The first line fails as a whole for a terminal that exists; the others speak of both.
    return (
        f"{new} ; {log} ; {options}\n"
        f"{_log_if_not_logged(spec.runner_id)}"
        f"display-message -p -t {pane} '#{{session_name}}'\n"
    )


def _log_command(runner_id: str) -> str:
    return f"exec cat >>runners/{runner_id}/log"


def _log_if_not_logged(runner_id: str) -> str:
    # `pipe-pane -o` alone would end a log that is being written.
    pane = quote(target(runner_id))
    lay = f'pipe-pane -o -t "{target(runner_id)}" "{_log_command(runner_id)}"'
    return f"if-shell -F -t {pane} '#{{||:#{{pane_pipe}},#{{pane_dead}}}}' '' {quote(lay)}\n"


@cache
def _packaged(name: str) -> tuple[str, bytes]:
    """A file of this package, named by its content: shells go on reading it after an upgrade."""
    content = Path(__file__).with_name(name).read_bytes().replace(b"@TERMINAL@", _terminal().encode())
    stem, _, suffix = name.partition(".")
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.{suffix}", content


def _terminal() -> str:
    """What programs are told of their terminal; its description must be installed."""
    named = "tmux-256color"
    known = any((Path(folder) / place / named).exists() for folder in _TERMINFO for place in ("t", "74"))
    return named if known else "screen-256color"


def _environment(home: Home) -> dict[str, str]:
    """What a server is started with: enough to run a shell, nothing of who happened to start it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "SHELL", "USER", "LOGNAME", "LANG"} or name.startswith("LC_")
    }
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TERM": "xterm"} | kept | {HOME_MARKER: str(home.root)}
