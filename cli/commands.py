"""How commands are found and how their help reads.

A command is a plain function, found by name in a table and imported when it is typed; Typer makes a command
of it. The first sentence of its docstring is its help in lists; what follows ``Examples:`` stays as written.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from inspect import cleandoc, getdoc
from typing import Any, NamedTuple

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from cli.values import convert_simply
from stratavore.near_names import near_names

_HELP_OPTIONS = ["-h", "--help"]
CONTEXT = {"help_option_names": _HELP_OPTIONS, "max_content_width": 100}
_EXAMPLES = "\n\nExamples:\n"
_NEGATIVE = re.compile(r"-\d+")


class Entry(NamedTuple):
    """A command in a table: where its function or its :class:`Noun` is, and what lists say of it."""

    place: str
    summary: str
    section: str = "Commands"


class Noun(NamedTuple):
    """A command that holds others."""

    help: str
    table: Mapping[str, Entry]
    default: str | None = None
    """What is done if no command is named."""


class Command(TyperCommand):
    """A command whose help reads: usage, what it does, arguments, options, examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Understand what was typed."""
        convert_simply(self.get_params(ctx))
        if any(_NEGATIVE.fullmatch(word) for word in args):
            ctx.ignore_unknown_options = True  # a number is no option, and the command says what is wrong with it
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The options, then the arguments as the help calls them."""
        return ["[OPTIONS]", *(_usage(param) for param in _parameters(self, ctx, "argument"))]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What it does."""
        _write_text(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments and the options."""
        arguments = [(_called(param), param.help or "") for param in _parameters(self, ctx, "argument")]
        _write_list("Arguments", arguments, formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples."""
        _write_examples(self.help, formatter)


class Group(TyperGroup):
    """Commands from a table, each imported when it is used."""

    table: Mapping[str, Entry] = {}
    default: str | None = None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Understand what was typed."""
        convert_simply(self.get_params(ctx))
        first = args[0] if args else "-"
        if self.default and first.startswith("-") and first not in _HELP_OPTIONS:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        entry = self.table.get(cmd_name)
        return None if entry is None else _command_at(entry.place, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that was typed; names that are near to an unknown one are told."""
        command = self.get_command(ctx, args[0])
        if command is None:
            near = near_names(args[0], self.table)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(self.table)}."
            ctx.fail(f"'{ctx.command_path}' has no command '{args[0]}'; {hint}")
        return args[0], command, args[1:]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What the commands are for."""
        _write_text(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The commands by section, from the table alone: nothing is imported for it."""
        for section in dict.fromkeys(entry.section for entry in self.table.values()):
            rows = [(name, entry.summary) for name, entry in self.table.items() if entry.section == section]
            _write_list(section, rows, formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples."""
        _write_examples(self.help, formatter)


def command_of(function: Any, name: str) -> Any:
    """The command that Typer makes of a function."""
    maker = typer.Typer(add_completion=False, rich_markup_mode=None)
    maker.command(name, cls=Command, context_settings=CONTEXT, help=getdoc(function))(function)
    return typer.main.get_command(maker)


def _command_at(place: str, name: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, Noun):
        return command_of(found, name)
    group = Group(
        name=name,
        help=cleandoc(found.help),
        context_settings=CONTEXT,
        rich_markup_mode=None,
        subcommand_metavar="COMMAND",
        options_metavar="",
    )
    group.table, group.default = found.table, found.default
    return group


def _parameters(command: Any, ctx: Any, kind: str) -> list[Any]:
    return [param for param in command.get_params(ctx) if param.param_type_name == kind]


def _called(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _usage(param: Any) -> str:
    return _called(param) if param.required else f"[{_called(param)}]"


def _write_text(text: str | None, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text((text or "").partition(_EXAMPLES)[0])


def _write_list(title: str, rows: list[tuple[str, str]], formatter: Any) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    records = [param.get_help_record(ctx) for param in _parameters(command, ctx, "option")]
    _write_list("Options", [record for record in records if record], formatter)


def _write_examples(text: str | None, formatter: Any) -> None:
    lines = (text or "").partition(_EXAMPLES)[2].splitlines()
    if lines:
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"  {line.strip()}\n")
