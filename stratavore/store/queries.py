"""Named SQL queries: a module's statements lie beside it, in the ``.sql`` file of the same name.

Each statement follows a line ``-- name: some_name``. The line stays in the statement, so that
``pg_stat_activity`` and the server's log say which query it is::

    SQL = load(__file__)
    await connection.fetch(SQL.some_name, ...)
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)
_MEANT = re.compile(r"^-- *name *:.*$", re.MULTILINE | re.IGNORECASE)


class Queries(Mapping[str, str]):
    """The statements of one file, by name: ``queries["name"]`` or ``queries.name``."""

    def __init__(self, file: Path, text: str) -> None:
        head, *parts = _NAME.split(text)
        if stray := [line for line in head.splitlines() if line.strip() and not line.startswith("--")]:
            raise ValueError(f"{file.name}: a statement without a name: {stray[0]}")
        if strange := [line for line in _MEANT.findall(text) if not _NAME.fullmatch(line)]:
            raise ValueError(f"{file.name}: no name of a statement: {strange[0]}")
        self._file = file
        self._statements: dict[str, str] = {}
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in self._statements:
                raise ValueError(f"{file.name}: two statements are named {name}")
            if not any(line.strip() and not line.lstrip().startswith("--") for line in body.splitlines()):
                raise ValueError(f"{file.name}: the statement {name} is empty")
            self._statements[name] = f"-- name: {name}\n{body.strip()}"

    def __getitem__(self, name: str) -> str:
        return self._statements[name]

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):  # never a statement; and copying asks for such names before __init__ has run
            raise AttributeError(name)
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._file.name} has no statement named {name}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)


def load(module_file: str) -> Queries:
    """Load the statements that lie beside a module.

    Args:
        module_file: The module's ``__file__``.

    Raises:
        ValueError: A statement has no name or no text, or two have the same name.
    """
    file = Path(module_file).with_suffix(".sql")
    return Queries(file, file.read_text(encoding="utf-8"))
