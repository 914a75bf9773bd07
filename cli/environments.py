"""The environment of sessions that are asked for here: that of this shell, kept in files of theirs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.service import service
from stratavore.environment import write_environment
from stratavore.errors import ServerAway, StratavoreError


@contextmanager
def environment_kept(files: Sequence[Path], more: Mapping[str, str]) -> Iterator[None]:
    """Keep this shell's environment, and what the project's file adds to it, while what will use it is asked for.

    When that is refused nothing of it is left. When a server was away it stays: some may have been begun before.
    """
    service.home.create()
    try:
        for file in files:
            write_environment(file, {**os.environ, **more})
        yield
    except StratavoreError as error:
        if error.code != ServerAway.code:
            forget_environment(files)
        raise


def forget_environment(files: Sequence[Path]) -> None:
    """Take it away from what there is not."""
    for file in files:
        file.unlink(missing_ok=True)
