"""``stratavore completion``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that words can be completed in."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Which shell the script is for.")],
) -> None:
    """Print a script that lets your shell complete commands, options, projects and sessions.

    Put what the example says of your shell into its start file. Projects and sessions are those that the daemon
    knows; while none answers, commands and options are completed.

    Examples:
        eval "$(stratavore completion bash)"                                    in ~/.bashrc
        source <(stratavore completion zsh)                                     in ~/.zshrc, after compinit
        stratavore completion fish > ~/.config/fish/completions/stratavore.fish
    """
    typer.echo(Path(__file__).with_suffix(f".{shell}").read_text(), nl=False)
