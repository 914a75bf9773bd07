"""``stratavore``: finds the command, and turns whatever goes wrong into one sentence and an exit code."""

import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
import typer.main

from cli.commands import CONTEXT, Entry, Group
from stratavore import __version__
from stratavore.config.path import name_file
from stratavore.errors import EXIT_FAILED, StratavoreError
from stratavore.near_names import near_names
from stratavore.project_names import HELP

WORK, LOOK, RULE = "Work with sessions", "Look at them", "Manage the rest"
EXIT_INTERRUPTED = 130

COMMANDS = {
    "new": Entry("cli.projects:new", "Create a project for a directory.", WORK),
    "open": Entry("cli.open:open_project", "Attach to a project's session, resume its last, or launch one.", WORK),
    "launch": Entry("cli.launch:launch", "Launch new sessions in a project.", WORK),
    "attach": Entry("cli.attach:attach", "Show a session in this terminal.", WORK),
    "send": Entry("cli.control:send", "Type text into a session, and Enter.", WORK),
    "pause": Entry("cli.control:pause", "Put sessions away: no process, no slot, nothing lost.", WORK),
    "resume": Entry("cli.control:resume", "Run paused, parked or ended sessions again.", WORK),
    "restart": Entry("cli.control:restart", "End the agents of sessions and start them again.", WORK),
    "move": Entry("cli.move:move", "Let running sessions go on on another host.", WORK),
    "kill": Entry("cli.control:kill", "End sessions.", WORK),
    "approve": Entry("cli.approvals:approve", "Let sessions go on that a budget holds.", WORK),
    "deny": Entry("cli.approvals:deny", "Put sessions away that wait for an approval.", WORK),
    "status": Entry("cli.status:status", "Show what is going on.", LOOK),
    "projects": Entry("cli.projects:PROJECTS", "List projects; show or delete one.", LOOK),
    "sessions": Entry("cli.sessions:SESSIONS", "List sessions, or show one.", LOOK),
    "runners": Entry("cli.runners:RUNNERS", "List runners, the agents' processes, or show one.", LOOK),
    "hosts": Entry("cli.hosts:HOSTS", "List hosts, drain or delete one.", LOOK),
    "logs": Entry("cli.logs:logs", "Show what a session's agent wrote.", LOOK),
    "transcript": Entry("cli.transcript:transcript", "Show the conversation of a session.", LOOK),
    "search": Entry("cli.search:search", "Search all conversations.", LOOK),
    "events": Entry("cli.events:EVENTS", "Show what happened, or what happens now.", LOOK),
    "tokens": Entry("cli.tokens:TOKENS", "Show what was used, by project, session, model or day.", LOOK),
    "resources": Entry("cli.resources:resources", "Show memory, processors and disks, and who uses them.", LOOK),
    "version": Entry("cli.version:version", "Show the versions of all parts.", LOOK),
    "quotas": Entry("cli.quotas:QUOTAS", "Show and set limits.", RULE),
    "budget": Entry("cli.budget:BUDGET", "Show and set budgets: tokens or dollars a day, a week, ...", RULE),
    "schedule": Entry("cli.schedule:SCHEDULE", "Launch sessions at set times.", RULE),
    "setup": Entry("cli.setup:setup", "Prepare servers of your own: database, namespace, exchange.", RULE),
    "test": Entry("cli.trials:test", "Try the servers and the daemon, with round trips.", RULE),
    "health": Entry("cli.health:health", "Check whether all is well; ends with 1 if not.", RULE),
    "reconcile": Entry("cli.reconcile:reconcile", "Compare all who know of sessions, and repair what is safe.", RULE),
    "backup": Entry("cli.backup:backup", "Save everything in one file, while all goes on.", RULE),
    "restore": Entry("cli.backup:restore", "Bring a backup back.", RULE),
    "completion": Entry("cli.completion:completion", "Let your shell complete words.", RULE),
    "daemon": Entry("cli.daemon:DAEMON", "Start and stop what runs in the background.", RULE),
    "config": Entry("cli.config:CONFIG", "Show and check the settings.", RULE),
}


class Root(Group):
    """All commands; any other word is a project to open."""

    table = COMMANDS

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Understand what was typed; ``help`` before a command is ``--help`` after it."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == [HELP] else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that was typed, or ``open`` for the project."""
        if args[0] in COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        if args[1:] and not args[1].startswith("-"):
            near = near_names(args[0], COMMANDS)
            hint = f"; did you mean {near}?" if near else ", and a project is opened without further words"
            ctx.fail(f"There is no command '{args[0]}'{hint}")
        return "open", self.get_command(ctx, "open"), args

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """A project is as good as a command."""
        return ["COMMAND | PROJECT"]


def stratavore(
    ctx: typer.Context,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="The configuration file; see: stratavore config show."),
    ] = None,
    god: Annotated[bool, typer.Option("--god", help="Go past quotas and questions; events show who did.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Run coding agents as durable sessions: detach, come back, and lose none of them.

    A project is a directory with a name; in it run sessions, each a conversation with an agent that outlives
    terminals, crashes and reboots. A TARGET is a session's or runner's id, its beginning, or a project.

    Examples:
        stratavore new site --path ~/src/site     create a project
        stratavore site                           attach to its session, or start one; leave it with Ctrl-b d
        stratavore launch site -- htop            start another one, with any program
        stratavore status --watch                 see them all
        stratavore kill site                      end them
    """
    from cli import terminal

    ctx.color = True if terminal.colours() else None  # else what goes into a pipe would lose them
    if config is not None:
        name_file(config)
    if god:
        from cli.service import service

        service.become_god()
    if version:
        typer.echo(f"stratavore {__version__}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def command() -> Any:
    """The whole command line."""
    app = typer.Typer(cls=Root, add_completion=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True, context_settings=CONTEXT)(stratavore)
    return typer.main.get_command(app)


def run(arguments: list[str]) -> int:
    """Run one command. Returns the exit code."""
    try:
        return command().main(arguments, prog_name="stratavore", standalone_mode=False) or 0
    except StratavoreError as error:
        return _failed(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except SystemExit as end:  # a closed pipe, as Typer ends it
        return end.code if isinstance(end.code, int) else EXIT_FAILED
    except Exception as error:
        return _misused(error) if hasattr(error, "format_message") else _unexpected(error)


def main() -> None:
    """The program ``stratavore``."""
    for output in (sys.stdout, sys.stderr):
        output.reconfigure(errors="replace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    if "cli.direct" in sys.modules:
        from cli.service import service

        with suppress(Exception):
            service.close()
    # Not by sys.exit: with Temporal's SDK loaded, the interpreter's own way out sometimes ends in a signal.
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError):
            output.flush()
    os._exit(code)


def _failed(message: str, code: int) -> int:
    from cli.terminal import note

    with suppress(OSError):
        note(f"Error: {message}")
    return code


def _misused(error: Any) -> int:
    """A word that Typer does not understand."""
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if context else ""
    message = error.format_message().rstrip()
    return _failed(f"{message if message[-1] in '.?!' else message + '.'}{hint}", error.exit_code)


def _unexpected(error: Exception) -> int:
    """A fault of this program: one sentence for the person, the whole of it for who mends it."""
    from traceback import format_exc

    from cli.service import service
    from stratavore.errors import OtherVersion
    from stratavore.paths import Home

    with suppress(Exception):
        try:
            service.check_version()
        except OtherVersion as other:
            return _failed(str(other), other.exit_code)
    log = Home.from_environment().logs / "cli.log"
    try:
        with log.open("a") as file:
            file.write(f"{' '.join(sys.argv)}\n{format_exc()}\n")
        where = f"The details are in {log}"
    except OSError:
        where = "Set STRATAVORE_DEBUG=1 to see the details"
    if os.environ.get("STRATAVORE_DEBUG"):
        typer.echo(format_exc(), err=True)
    return _failed(f"Something unexpected happened: {type(error).__name__}: {error}. {where}.", EXIT_FAILED)


if __name__ == "__main__":
    main()
