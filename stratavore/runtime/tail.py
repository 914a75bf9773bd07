"""Reading on in a file that another program appends whole lines to, and may cut short or write anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

PIECE = 1024**2
LONGEST_LINE = 16 * 1024**2
"""A line that is longer is taken in pieces, since it has to be held in memory."""
_MARKED = 1024


@dataclass(frozen=True)
class Place:
    """How far a file was read, and by what it is known again."""

    read_to: int = 0
    """Bytes."""
    mark: bytes = b""
    """Digest of the last bytes before that."""


@dataclass(frozen=True)
class Piece:
    """Whole lines that were read."""

    start: int
    content: bytes
    after: Place
    """Where the next piece begins."""
    anew: bool
    """The file is not the one that was read before: this is its beginning."""
    more: bool
    """There may be more to be read at once."""

    def lines(self) -> Iterator[bytes]:
        """The lines, without their ends; empty ones are left out."""
        return _lines(self.content)

    def lines_before(self, offset: int) -> int:
        """How many of them stand before a place in the file, where one ends."""
        return sum(1 for _ in _lines(self.content[: max(0, offset - self.start)]))


def read_on(path: Path, place: Place, most: int = PIECE) -> Piece | None:
    """Read the next whole lines, about ``most`` bytes of them. None: there is none yet.

    Raises:
        OSError: the file cannot be read, or is not there.
    """
    with path.open("rb") as file:
        anew = not _known(file, place)
        start = 0 if anew else place.read_to
        before = b"" if anew else _before(file, start)
        file.seek(start)
        content, more = _whole_lines(file, most)
    if not content:
        return None
    mark = _digest((before + content[-_MARKED:])[-_MARKED:])
    return Piece(start, content, Place(start + len(content), mark), anew, more)


def _lines(content: bytes) -> Iterator[bytes]:
    return (line for line in content.split(b"\n") if line and not line.isspace())


def _whole_lines(file: BinaryIO, most: int) -> tuple[bytes, bool]:
    """The lines from here on; and whether the file goes on behind them, as far as was seen."""
    read = file.read(most)
    while (end := read.rfind(b"\n") + 1) == 0:
        further = file.read(min(len(read), LONGEST_LINE - len(read)) if len(read) >= most else 0)
        if len(read) >= LONGEST_LINE:
            return read, True
        if not further:
            return b"", False
        read += further
    return read[:end], len(read) >= most


def _known(file: BinaryIO, place: Place) -> bool:
    """Whether what was read of the file is still there."""
    return place.read_to == 0 or _digest(_before(file, place.read_to)) == place.mark


def _before(file: BinaryIO, end: int) -> bytes:
    """The last bytes before ``end``; fewer if the file is shorter."""
    file.seek(max(0, end - _MARKED))
    return file.read(min(end, _MARKED))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
