"""``stratavore config``."""

from typing import Annotated, Any

import typer

from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, show
from cli.terminal import note

KEYS = ("key", "value", "source", "variable")
_DEFAULT = "default"

CONFIG = Noun(
    """Show and check the settings.

    They come from environment variables STRATAVORE_..., else from the first configuration file that is found:
    that of --config or STRATAVORE_CONFIG, ~/.config/stratavore/stratavore.yaml, /etc/stratavore/stratavore.yaml;
    else they have defaults. A daemon reads them when it starts.

    Examples:
        stratavore config show --source
        stratavore config validate stratavore.yaml
        STRATAVORE_LOG__LEVEL=debug stratavored
    """,
    {
        "show": Entry("cli.config:show_config", "Show each setting, as a daemon that is started here has it."),
        "validate": Entry("cli.config:validate", "Say whether the configuration is right, and what is not."),
    },
)


def show_config(
    source: Annotated[bool, typer.Option("--source", help="Show where each value comes from.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show each setting, as a daemon that is started here has it.

    Passwords and keys are not shown. JSON and YAML always say where values come from.

    Examples:
        stratavore config show
        stratavore config show --source
        stratavore --config ~/other.yaml config show
    """
    from stratavore.config.keys import SETTINGS
    from stratavore.config.reading import read_configuration
    from stratavore.config.secrets import shown

    configuration = read_configuration()
    rows: list[dict[str, Any]] = [
        {
            "key": key,
            "value": shown(configuration.value(key)),
            "source": str(configuration.sources.get(key, _DEFAULT)),
            "variable": setting.variable,
        }
        for key, setting in SETTINGS.items()
    ]
    show(rows, form, KEYS, _COLUMNS if source else _COLUMNS[:-1], empty="No settings.")
    _warn(configuration.warnings)


def validate(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The file; by default the one that a daemon would read.")
    ] = None,
) -> None:
    """Say whether the configuration is right, and what is not.

    The environment variables are checked with it, as a daemon reads them. Nothing is asked of any server; for
    that there is stratavore test.

    Examples:
        stratavore config validate
        stratavore config validate /etc/stratavore/stratavore.yaml
    """
    from stratavore.config.path import name_file
    from stratavore.config.reading import read_configuration

    if file is not None:
        name_file(file)
    configuration = read_configuration()
    typer.echo(f"The configuration is right: {configuration.origin}.")
    _warn(configuration.warnings)


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        note(f"Warning: {warning}.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_COLUMNS = [
    Column("KEY", lambda row: row["key"]),
    Column("VALUE", lambda row: _text(row["value"]), cut=True),
    Column("SOURCE", lambda row: row["source"], cut=True),
]
