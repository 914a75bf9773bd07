"""``stratavore`` with more patience: a daemon that is slow on a busy machine does not count as one that is away."""

from pathlib import Path
from typing import Any

from cli import client
from cli.start import main

TIMES = 12

_call = client.call


def call(path: Path, method: str, params: dict[str, Any], timeout: float) -> Any:
    """The result of one call, within many times what a person waits for it."""
    return _call(path, method, params, TIMES * timeout)


if __name__ == "__main__":
    client.call = call
    main()
