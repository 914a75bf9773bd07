"""The picture in the README, of a real session of Claude Code: ``python -m tests.e2e.picture docs/session.svg``."""

import asyncio
import io
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.claude_code.messages import Usage, say
from tests.claude_code.messages_api import serve
from tests.e2e.conversing import Conversations
from tests.support import servers
from tests.support.command_line import PROGRAM
from tests.support.daemon import DaemonProcess
from tests.support.stacks import embedded
from tests.support.waiting import until

COLUMNS, ROWS = 108, 80  # rows: enough for all that is shown
REPLIES = (
    "Three of 212: test_checkout (41 s), test_import (6 s) and test_search (3 s).",
    "test_checkout: it starts a browser for each of its 38 cases. One for all would do.",
)
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As rich draws it, without a font from elsewhere."""


class Person:
    """Somebody who types commands into a terminal."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._tmux = ("tmux", "-L", f"picture-{uuid.uuid4().hex[:8]}", "-f", "/dev/null")
        shell = ("env", "-i", *(f"{name}={value}" for name, value in environment.items()), "bash", "--norc")
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        subprocess.run([*self._tmux, "new-session", "-d", "-c", directory, *size, *shell], check=True)

    def screen(self, *, colours: bool = False) -> str:
        """What is shown."""
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p", *(["-e"] if colours else [])],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.rstrip()

    async def type(self, command: str, *, clear: bool = False) -> str:
        """Type a command, and wait until the next one can be typed. Returns what it printed."""
        before = self.screen().count("\n$") + self.screen().startswith("$")
        subprocess.run([*self._tmux, "send-keys", "-l", command], check=True)
        subprocess.run([*self._tmux, "send-keys", "Enter"], check=True)
        wanted = 1 if clear else before + 1

        def done() -> bool:
            shown = self.screen()
            return shown.count("\n$") + shown.startswith("$") == wanted and shown.endswith("$")

        await until(done, timeout=90, what=f"the end of {command}")
        return self.screen().rpartition(f"$ {command}\n")[2]

    def leave(self) -> None:
        """Close the terminal."""
        subprocess.run([*self._tmux, "kill-server"], check=False)


async def scene(person: Person, talk: Conversations, session: str) -> str:
    """What the picture shows."""
    await until(lambda: person.screen().endswith("$"), what="a shell")
    await person.type("clear", clear=True)
    await person.type("stratavore send --wait site 'Which tests are slow?'")
    runner = await talk.runner(session)
    await person.type(f"kill -9 {runner['pid']}   # Claude Code")
    await person.type("stratavore send --wait site 'Which one first, and why?'")
    await person.type("stratavore sessions show site")
    # As far as a README has room for, and as if the project were in a home directory.
    story, _, _ = person.screen(colours=True).partition("\n\n\x1b[1mRUNNER")
    return story.replace(str(talk.site), "~/src/site")


async def draw() -> str:
    """The picture, as SVG."""
    with servers.guarded_directory() as homes, embedded.started(homes) as stack:
        name = f"picture_{uuid.uuid4().hex[:8]}"
        await servers.execute(stack, f"CREATE DATABASE {name}")
        home = servers.new_home(homes)
        daemon = DaemonProcess(
            home,
            temporal=stack.temporal_address,
            namespace="picture",
            dsn=servers.dsn_of(stack, name),
            rabbitmq=None,
            host="laptop",
        )
        await daemon.start()
        replies = [say(text, usage=Usage(input=2400, output=40, cache_read=18_000)) for text in REPLIES]
        async with serve(replies) as api:
            talk = Conversations(daemon, api, project="site")
            await talk.create()
            session = await talk.launch()
            await talk.does(session, "idle")
            environment = daemon.environment | {
                "PS1": "$ ",
                "TERM": "xterm-256color",
                "PATH": f"{PROGRAM.parent}:{daemon.environment['PATH']}",
            }
            person = Person(talk.site, environment)
            try:
                shown = await scene(person, talk, session)
            finally:
                person.leave()
                with suppress(Exception):
                    await daemon.call("command", target="all", action="terminate", request_id=str(uuid.uuid4()))
                    await daemon.wait(session, "ended")
                daemon.kill()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text.from_ansi(shown), crop=True, no_wrap=True)
    return console.export_svg(title="stratavore", code_format=SVG, unique_id="session")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(draw()))
