"""The servers of a run, as ``pytest --servers`` chooses them: a module for each choice."""

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from tests.support.stacks.stack import Stack

CHOICES = ("embedded", "containers", "external")

__all__ = ["CHOICES", "Stack", "started"]


def started(choice: str, homes: Path) -> AbstractContextManager[Stack]:
    """Servers for as long as the block lasts; what they leave in ``homes`` the guardian cleans up."""
    # Imported late: what the other choices need may not be installed.
    module = import_module(f"{__name__}.{choice}")
    context: AbstractContextManager[Stack] = module.started(homes)
    return context
