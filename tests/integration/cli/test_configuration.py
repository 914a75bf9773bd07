"""A daemon that takes its settings from a file, and both programs that check one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from stratavore.paths import Home
from stratavore.procfs import environment_value
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess

PREFIX = "STRATAVORE_"
KEPT = ("STRATAVORE_HOME", "STRATAVORE_CONFIG")


def check(environment: Mapping[str, str], *words: str) -> tuple[int, str, str]:
    """``stratavored --config-check``."""
    answer = subprocess.run(
        [sys.executable, "-m", "worker.daemon", "--config-check", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.returncode, answer.stdout, answer.stderr


@pytest.fixture
def file(daemon_process: DaemonProcess, home: Home) -> Path:
    """All that the test's daemon is told by variables, as a file."""
    said: dict[str, dict[str, object]] = {}
    for name, value in daemon_process.environment.items():
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        if name.startswith(PREFIX) and key:
            said.setdefault(section, {})[key] = yaml.safe_load(value)
    path = home.root / "own.yaml"
    path.write_text(yaml.safe_dump({"host": daemon_process.host, "log": {"level": "warning"}, **said}))
    path.chmod(0o600)
    return path


@pytest.fixture
def bare(daemon_process: DaemonProcess, site: Path) -> CommandLine:
    """The command line without any variable but those that name the state directory and no file."""
    environment = {
        name: value for name, value in daemon_process.environment.items() if not name.startswith(PREFIX) or name in KEPT
    }
    return CommandLine(environment, site)


async def test_a_daemon_has_the_file_of_the_command_that_started_it(
    daemon_process: DaemonProcess, bare: CommandLine, file: Path, home: Home
) -> None:
    """Also one that is named from another directory than the daemon's."""
    named = f"../{file.name}"
    try:
        await bare.done("--config", named, "daemon", "start")
        found = await bare.json("daemon", "status")
        assert found["host"] == daemon_process.host
        assert {server["name"]: server["state"] for server in found["servers"]}["postgres"] == "external"
        log = (home.logs / "daemon.log").read_text()
        assert "ready: host" not in log, "log.level of the file was not heeded"
        await bare.done("new", "site", "--", "cat")
        await bare.done("daemon", "stop")
        # Without a daemon the command itself needs to know Temporal's namespace.
        assert [one["name"] for one in await bare.json("--config", named, "projects")] == ["site"]
    finally:
        await bare("daemon", "stop")


async def test_a_daemon_works_elsewhere_and_has_the_directories_of_the_command_that_started_it(
    daemon_process: DaemonProcess, bare: CommandLine, file: Path, home: Home
) -> None:
    (home.root / "stratavore").mkdir()
    file.rename(home.root / "stratavore/stratavore.yaml")
    near = {name: value for name, value in bare.environment.items() if name != "STRATAVORE_CONFIG"}
    here = CommandLine(near | {"STRATAVORE_HOME": "..", "XDG_CONFIG_HOME": ".."}, bare.directory)
    try:
        await here.done("daemon", "start")
        found = await bare.json("daemon", "status")
        assert found["host"] == daemon_process.host
        assert environment_value(found["pid"], "STRATAVORE_HOME") == str(home.root)
    finally:
        await bare("daemon", "stop")


async def test_a_daemon_is_not_started_with_a_wrong_file(bare: CommandLine, file: Path, home: Home) -> None:
    file.write_text(file.read_text().replace("  dsn:", "  dns:"))
    said = await bare.refused(2, "--config", str(file), "daemon", "start")
    assert said.startswith(f"{file}, line ")
    assert said.endswith("there is no setting 'postgres.dns'; did you mean 'dsn'?")
    assert not home.daemon_lock.exists()


def test_a_configuration_is_checked_without_a_daemon(bare: CommandLine, file: Path, home: Home) -> None:
    right = f"The configuration is right: {file}.\n"
    file.chmod(0o604)
    code, out, err = check(bare.environment, "--config", str(file))
    assert (code, out) == (0, right)
    assert err.startswith(f"Warning: {file} holds 'postgres.dsn'")
    file.write_text("temporal:\n  prot: 1\n")
    wrong = f"Error: {file}, line 2: there is no setting 'temporal.prot'; did you mean 'port'?\n"
    assert check(bare.environment, "--config", str(file)) == (2, "", wrong)
    assert not home.daemon_lock.exists()
