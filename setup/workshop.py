"""A directory in which something is made before it is put into place by renaming it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A directory beside the final place; what an interrupted run left there is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    directory = Path(mkdtemp(prefix="new-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
