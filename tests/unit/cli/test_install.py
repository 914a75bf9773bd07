"""``stratavore daemon install`` on machines of several kinds, with a ``systemctl`` that notes what it is asked."""

import os
import pwd
from pathlib import Path

import pytest

from cli import install
from stratavore.paths import Home
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve

ME = pwd.getpwuid(os.getuid()).pw_name


class Machine:
    """One with systemd, unless a test takes it away."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unit = root / "config/systemd/user/stratavored.service"
        self._asked = root / "asked"

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    def answers(self, script: str) -> None:
        programs = self.root / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {self._asked}\n{script}\n')
        (programs / "systemctl").chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    found.answers("exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name, place in (("SYSTEMD", "run"), ("LINGERING", "linger"), ("ETC", "etc")):
        (tmp_path / place).mkdir()
        monkeypatch.setattr(install, name, tmp_path / place)
    monkeypatch.setenv("STRATAVORE_POSTGRES__DSN", "postgresql://me:s3cret@db.example/x")
    return found


def test_a_service_of_mine(run: Run, machine: Machine, home: Home) -> None:
    result = run("daemon", "install", "--user")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"Installed {machine.unit}: the daemon of {home.root} starts with the machine.\n"
        "Start it now with: systemctl --user start stratavored\n"
        f"Next: loginctl enable-linger {ME}\n"
        "Without it, systemd starts the service when you log in, and ends it and all agents when you log out.\n"
    )
    assert [line.partition("--user ")[2] for line in machine.asked] == [
        "show-environment",
        "daemon-reload",
        "enable stratavored.service",
    ]
    text = machine.unit.read_text()
    assert f"STRATAVORE_HOME={home.root}" in text
    assert "s3cret" not in text
    variables = home.root / "daemon.environment"
    assert f"EnvironmentFile={variables}\n" in text
    assert variables.stat().st_mode & 0o777 == 0o600
    assert 'STRATAVORE_POSTGRES__DSN="postgresql://me:s3cret@db.example/x"' in variables.read_text()
    assert "STRATAVORE_HOME" not in variables.read_text()


@pytest.mark.parametrize("words", [(), ("--config", "mine.yaml")])
def test_the_configuration_file_is_that_of_this_terminal(
    run: Run, machine: Machine, home: Home, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(machine.root)
    (machine.root / "mine.yaml").touch()
    monkeypatch.setenv("STRATAVORE_CONFIG", "mine.yaml")  # also for its end: --config sets it
    assert run(*words, "daemon", "install", "--user").code == 0
    assert f'STRATAVORE_CONFIG="{machine.root}/mine.yaml"\n' in (home.root / "daemon.environment").read_text()


def test_who_lingers_need_not_be_told_to(run: Run, machine: Machine) -> None:
    (machine.root / "linger" / ME).touch()
    assert "enable-linger" not in run("daemon", "install", "--user").out


def test_it_can_be_installed_again_and_taken_away(run: Run, machine: Machine, home: Home) -> None:
    run("daemon", "install", "--user")
    assert run("daemon", "install", "--user").code == 0
    result = run("daemon", "uninstall", "--user")
    assert result.out.startswith(f"Removed {machine.unit}; sessions and servers go on.")
    assert not machine.unit.exists()
    assert not (home.root / "daemon.environment").exists()
    assert run("daemon", "uninstall", "--user").err == f"No service is installed: there is no {machine.unit}.\n"


@pytest.mark.parametrize(("scope", "typed"), [("--user", "systemctl --user"), ("--system", "sudo systemctl")])
def test_who_starts_another_daemon_than_the_service_is_told(
    run: Run, fake: Serve, home: Home, machine: Machine, monkeypatch: pytest.MonkeyPatch, scope: str, typed: str
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setattr("cli.background.start_daemon", lambda _: True)
    fake(daemon_status=examples.daemon())
    assert run("daemon", "start").err == ""
    run("daemon", "install", scope)
    said = run("daemon", "start")
    assert said.out.startswith("The daemon runs (process ")
    assert said.err.endswith(f"stratavore daemon stop, then {typed} start stratavored\n")
    (unit,) = machine.root.rglob("stratavored.service")
    unit.write_text(unit.read_text().replace(str(home.root), "/of/another"))
    assert run("daemon", "start").err == ""


def test_a_user_of_whom_nothing_is_known_has_no_service(
    machine: Machine, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: a daemon starts all the same."""
    monkeypatch.setattr("os.getuid", lambda: 1_234_567)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert install.installed(home) is None


def test_what_would_be_done_is_shown_and_nothing_done(run: Run, machine: Machine, home: Home) -> None:
    result = run("daemon", "install", "--user", "--dry-run")
    assert result.out.startswith("[Unit]\n")
    assert f"STRATAVORE_HOME={home.root}" in result.out
    assert result.err == f"This would be written to {machine.unit}.\n"
    assert not machine.unit.exists()
    assert machine.asked == []


def test_root_gets_a_service_of_the_machine(run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", ME)
    result = run("daemon", "install")
    unit = machine.root / "etc/systemd/system/stratavored.service"
    assert result.out.startswith(f"Installed {unit}")
    assert result.out.endswith("Start it now with: sudo systemctl start stratavored\n")
    assert f"User={ME}\n" in unit.read_text()
    assert (machine.root / "etc/stratavore/daemon.environment").stat().st_mode & 0o777 == 0o600
    assert machine.asked == ["--no-ask-password " + words for words in (
        "show-environment", "daemon-reload", "enable stratavored.service"
    )]  # fmt: skip


def test_ordinary_users_still_see_which_configuration_the_machine_has(
    run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's own user is one of them."""
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", ME)
    before = os.umask(0o077)
    try:
        assert run("daemon", "install").code == 0
    finally:
        os.umask(before)
    assert (machine.root / "etc/stratavore").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("own", ["", "stratavore.yaml"])
def test_what_install_made_in_etc_is_taken_away_again(
    run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    run("daemon", "install", "--system")
    if own:
        (machine.root / "etc/stratavore" / own).touch()
    assert run("daemon", "uninstall", "--system").code == 0
    assert {path.name for path in (machine.root / "etc").rglob("*")} == {"systemd", "system"} | (
        {"stratavore", own} if own else set()
    )


def test_under_sudo_the_state_directory_is_that_of_who_typed_it(
    run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", ME)
    monkeypatch.delenv("STRATAVORE_HOME")
    home = Path(pwd.getpwnam(ME).pw_dir) / ".local/state/stratavore"
    assert f"STRATAVORE_HOME={home}\n" in run("daemon", "install", "--dry-run").out


def test_without_systemd_there_is_another_way(run: Run, machine: Machine) -> None:
    (machine.root / "run").rmdir()
    result = run("daemon", "install", "--user")
    assert result.code == 4
    assert result.err.startswith("Error: systemd does not run on this machine")
    assert "stratavore daemon start" in result.err
    assert result.err.count("\n") == 1
    assert not machine.unit.exists()


def test_a_systemd_that_refuses_is_quoted_before_anything_is_written(run: Run, machine: Machine) -> None:
    machine.answers("echo 'Failed to connect to bus: No such file or directory' >&2; exit 1")
    result = run("daemon", "install", "--user")
    assert (result.code, result.err) == (1, (
        "Error: 'systemctl --user show-environment' failed: Failed to connect to bus: No such file or directory. "
        "Mend that and install again, or start the daemon with: stratavore daemon start.\n"
    ))  # fmt: skip
    assert not machine.unit.exists()


def test_a_person_may_not_change_the_machine(run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1000)
    result = run("daemon", "install", "--system")
    assert result.code == 5
    assert "Only root may change services of the machine." in result.err
    assert machine.asked == []


def test_the_service_of_another_state_directory_is_left_alone(
    run: Run, machine: Machine, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("daemon", "install", "--user")
    before = machine.unit.read_text()
    monkeypatch.setenv("STRATAVORE_HOME", str(home.root / "other"))
    result = run("daemon", "install", "--user")
    assert result.code == 5
    assert f"another state directory, {home.root}. Uninstall it first" in result.err
    assert machine.unit.read_text() == before


def test_one_kind_at_a_time(run: Run, machine: Machine) -> None:
    assert run("daemon", "install", "--user", "--system").code == 2
