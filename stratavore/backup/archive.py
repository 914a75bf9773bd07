"""The file: a tar that is written and read as a stream, so that its size never matters.

First comes ``backup.json``, which says what it is; then the rows of each table in pieces (``COPY``'s text, packed by
gzip), the secrets, and last ``contents.json`` with the checksum of all the others: without it the file was cut short.
"""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from stratavore.errors import BackupDamaged, BackupUnfit, NotABackup

FORMAT = 1
HEAD, CONTENTS, KEY = "backup.json", "contents.json", "secrets/event_signing_key"
ENVIRONMENTS = "secrets/environments/"
PIECE_BYTES = 4 << 20
"""Packed bytes of a table that are kept in memory before they are written."""
_READ_BYTES = 1 << 20
_GZIP = 31  # zlib's word for gzip's header
_WHOLE = "the end of it is missing"


class Table(BaseModel):
    """A table in a backup."""

    model_config = ConfigDict(frozen=True)

    name: str
    columns: tuple[str, ...]


class Head(BaseModel):
    """What a backup says of itself."""

    model_config = ConfigDict(frozen=True)

    format: int
    version: str
    """Of the program that made it."""
    schema_version: str
    """The newest migration of its database."""
    at: datetime
    """Everything in it is of this moment, by the database's clock."""
    host: str
    """On which it was made: its secrets are of that host."""
    tables: tuple[Table, ...]
    """In an order in which they can be filled."""
    sequences: dict[str, int]
    """The last number that each gave out."""


class Contents(BaseModel):
    """What must be in a backup for it to be whole."""

    model_config = ConfigDict(frozen=True)

    rows: dict[str, int]
    sha256: dict[str, str]


class Writer:
    """Writes one backup."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._at = head.at.timestamp()
        self._sha256: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.add(HEAD, head.model_dump_json(indent=1).encode())

    def add(self, name: str, content: bytes) -> None:
        """Write a member."""
        self._sha256[name] = hashlib.sha256(content).hexdigest()
        self._put(name, content)

    def finish(self) -> None:
        """Write what proves that all is there."""
        contents = Contents(rows=self.rows, sha256=self._sha256)
        self._put(CONTENTS, contents.model_dump_json(indent=1).encode())
        self._tar.close()

    def _put(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = len(content), 0o600, int(self._at)
        self._tar.addfile(member, io.BytesIO(content))


class TableWriter:
    """Packs the rows of one table as they come, and writes them piece by piece."""

    def __init__(self, archive: Writer, table: str) -> None:
        self._archive = archive
        self._table = table
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        self._packed = bytearray()
        self._pieces = 0

    async def write(self, rows: bytes) -> None:
        """Take some bytes of ``COPY``'s text."""
        self._packed += self._packer.compress(rows)
        if len(self._packed) >= PIECE_BYTES:
            self._flush()

    def finish(self, rows: int) -> None:
        """There are no more; there were so many rows."""
        self._packed += self._packer.flush()
        self._flush()
        self._archive.rows[self._table] = rows

    def _flush(self) -> None:
        self._archive.add(f"tables/{self._table}/{self._pieces:06}.gz", bytes(self._packed))
        self._pieces += 1
        self._packed.clear()


class Reader:
    """Reads one backup that was found to be whole. See :func:`opened`."""

    def __init__(self, path: Path, tar: tarfile.TarFile, head: Head, contents: Contents) -> None:
        self.path = path
        self.head = head
        self.contents = contents
        self._tar = tar

    def rows(self, table: str) -> Iterator[bytes]:
        """The bytes of a table, as ``COPY`` takes them."""
        unpacker = zlib.decompressobj(_GZIP)
        for name in self._names(f"tables/{table}/"):
            yield unpacker.decompress(self._content(name))
        yield unpacker.flush()

    def key(self) -> str | None:
        """What events are signed with; None: it was left out."""
        return self._content(KEY).decode() if KEY in self.contents.sha256 else None

    def environments(self) -> Iterator[tuple[str, bytes]]:
        """The environments of sessions: each session's id, and what is in its file."""
        for name in self._names(ENVIRONMENTS):
            try:
                session = UUID(name.removeprefix(ENVIRONMENTS))
            except ValueError:
                raise BackupDamaged(path=self.path, reason=f"{name} is of no session") from None
            yield str(session), self._content(name)

    def close(self) -> None:
        """Close the file."""
        self._tar.close()

    def _names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.contents.sha256 if name.startswith(prefix))

    def _content(self, name: str) -> bytes:
        file = self._tar.extractfile(name)
        assert file is not None, "a member that was verified is a file"
        return file.read()


def opened(path: Path) -> Reader:
    """Open a backup and read all of it, to know that it is whole before anything is done with it.

    Raises:
        NotABackup: it is none, or cannot be read.
        BackupDamaged: it was, and something of it is missing or has changed.
        BackupUnfit: it was made by a later version, in another format.
    """
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115
    except OSError as error:
        raise NotABackup(path=path, reason=(error.strerror or str(error)).lower()) from error
    except tarfile.TarError as error:
        reason = "it is empty" if path.stat().st_size == 0 else "it is another kind of file"
        raise NotABackup(path=path, reason=reason) from error
    return _whole(path, tar)


def passed_by(stream: BinaryIO) -> Reader:
    """Read all of a backup as it comes, to know that it is whole. Nothing is kept: its tables cannot be read then.

    Raises:
        NotABackup, BackupDamaged, BackupUnfit: as of :func:`opened`.
    """
    path = Path("standard input")
    try:
        tar = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115
    except (OSError, tarfile.TarError) as error:
        raise NotABackup(path=path, reason="it is empty, or another kind of file") from error
    return _whole(path, tar)


def _whole(path: Path, tar: tarfile.TarFile) -> Reader:
    try:
        return _verified(path, tar)
    except BaseException:
        tar.close()
        raise


def _verified(path: Path, tar: tarfile.TarFile) -> Reader:
    found: dict[str, str] = {}
    head: Head | None = None
    contents: Contents | None = None
    try:
        for member in tar:
            if head is None:
                if member.name != HEAD:
                    raise NotABackup(path=path, reason="it is another kind of archive")
                first = _read(tar, member)
                head, found[HEAD] = _head(path, first), hashlib.sha256(first).hexdigest()
                continue
            if member.name == CONTENTS:
                contents = Contents.model_validate_json(_read(tar, member))
                break
            if member.name in found or not member.isfile():
                raise BackupDamaged(path=path, reason=f"{member.name} is in it twice, or is no file")
            found[member.name] = _sha256(tar, member)
    except (tarfile.TarError, ValidationError, EOFError) as error:
        raise BackupDamaged(path=path, reason=_WHOLE if head and not contents else "it begins wrong") from error
    except OSError as error:
        raise NotABackup(path=path, reason=(error.strerror or str(error)).lower()) from error
    if head is None or contents is None:
        raise BackupDamaged(path=path, reason=_WHOLE)
    if found != contents.sha256:
        wrong = min(name for name, _ in found.items() ^ contents.sha256.items())
        raise BackupDamaged(path=path, reason=f"{wrong} is missing or has changed")
    if contents.rows.keys() != {table.name for table in head.tables}:
        raise BackupDamaged(path=path, reason="a table is missing")
    return Reader(path, tar, head, contents)


def _head(path: Path, content: bytes) -> Head:
    try:
        read = json.loads(content)
        found = read["format"]
        if found != FORMAT:
            reason = f"it is of the format {found}, and this version reads {FORMAT}"
            raise BackupUnfit(path=path, reason=reason, version=read["version"])
        return Head.model_validate(read)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupDamaged(path=path, reason="it begins wrong") from error


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    content = file.read()
    if len(content) != member.size:
        raise EOFError
    return content


def _sha256(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    assert file is not None
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_READ_BYTES):
        digest.update(piece)
        size += len(piece)
    if size != member.size:
        raise EOFError
    return digest.hexdigest()
