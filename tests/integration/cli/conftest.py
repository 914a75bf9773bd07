"""The installed command line, beside a daemon of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stratavore.paths import Home
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.person import Person


@pytest.fixture
def site(home: Home) -> Path:
    """A directory for a project."""
    directory = home.root / "site"
    directory.mkdir()
    return directory


@pytest.fixture
def cli(daemon_process: DaemonProcess, site: Path) -> CommandLine:
    """The command line for a daemon that is not started yet, in the project's directory."""
    return CommandLine(daemon_process.environment, site)


@pytest.fixture
async def person(daemon_process: DaemonProcess, site: Path) -> AsyncIterator[Person]:
    """A person who sits in the project's directory."""
    async with Person.sitting(daemon_process.environment, site) as found:
        yield found
