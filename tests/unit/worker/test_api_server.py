"""What the private API says to callers that are of another version, or no callers at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from stratavore import __version__
from worker.api.server import LONGEST_LINE, ApiServer


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """A socket where a server listens that knows ``double``."""

    async def double(number: int) -> int:
        return 2 * number

    with TemporaryDirectory(prefix="sv-", dir="/tmp") as directory:
        server = ApiServer(Path(directory) / "api", {"double": double})
        await server.start()
        yield Path(directory) / "api"
        await server.close()


async def say(path: Path, said: bytes) -> Any:
    """What the server answers; None if nothing."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(said)
    writer.write_eof()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return json.loads(line) if line else None


async def test_every_answer_carries_the_version(path: Path) -> None:
    assert await say(path, b'{"method": "double", "params": {"number": 4}}\n') == {"result": 8, "version": __version__}


@pytest.mark.parametrize(
    "said",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"method": "doub',  # whoever asked died in the middle of it
        b'{"method": "halve", "params": {}}\n',
        b'{"method": ["double"]}\n',
        b'{"method": "double"}\n',
        b'{"method": "double", "params": [4]}\n',
        b'{"method": "double", "params": {"number": 4, "newer": 1}}\n',
    ],
)
async def test_what_is_no_call_of_this_version_is_told_so_and_nothing_is_done(path: Path, said: bytes) -> None:
    answer = await say(path, said)
    assert (answer["error"]["code"], answer["error"]["exit_code"], answer["version"]) == (
        "unknown_call",
        4,
        __version__,
    )
    assert (await say(path, b'{"method": "double", "params": {"number": 1}}\n'))["result"] == 2


async def test_a_line_without_end_is_refused(path: Path) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    with pytest.raises(ConnectionError):
        for _ in range(4):
            writer.write(b"x" * LONGEST_LINE)
            await writer.drain()
    writer.close()
    assert (await say(path, b'{"method": "double", "params": {"number": 1}}\n'))["result"] == 2


async def test_nothing_is_answered_to_nothing(path: Path) -> None:
    assert await say(path, b"") is None


async def test_it_ends_where_its_directory_is_gone() -> None:
    with TemporaryDirectory(prefix="sv-", dir="/tmp") as above:
        directory = Path(above) / "state"
        directory.mkdir()
        server = ApiServer(directory / "api", {})
        await server.start()
        directory.rename(Path(above) / "elsewhere")
        directory.touch()
        await server.close()
