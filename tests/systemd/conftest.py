"""A machine of the test's own, on which the daemon is a service."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stratavore.paths import Home
from tests.systemd.machine import Machine
from tests.systemd.service import Service


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only where it is asked for: it takes root, and a systemd."""
    return None if config.getoption("--systemd") else True


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """One that has booted."""
    assert os.getuid() == 0, "only root can have a machine of its own"
    made = Machine(tmp_path)
    try:
        await made.boot()
        yield made
    finally:
        made.power_off()


@pytest.fixture(params=["--system", "--user"])
async def service(request: pytest.FixtureRequest, machine: Machine, home: Home) -> Service:
    """The daemon as a service, with two sessions that run."""
    made = Service(machine, home, request.param)
    await made.install()
    return made
