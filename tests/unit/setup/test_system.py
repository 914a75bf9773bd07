import os
from pathlib import Path

import pytest

from setup import packages, system
from setup.packages import PROMETHEUS, RABBITMQ, TMUX
from setup.progress import SetupFailed
from tests.unit.setup.conftest import Machine


@pytest.fixture(autouse=True)
def systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where systemd would show itself. Nor is there a RabbitMQ, which is looked for at fixed places too."""
    monkeypatch.setattr(system, "find_server", lambda: None)
    monkeypatch.setattr(packages, "SYSTEMD", machine.programs / "systemd")
    return packages.SYSTEMD


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)


def have_tmux(machine: Machine, version: str = "3.4") -> None:
    """It is there, and asked for its version, which changes nothing."""
    program = machine.programs / "tmux"
    program.write_text(f"#!/bin/sh\necho tmux {version}\n")
    program.chmod(0o755)


def installing(machine: Machine, *programs: str) -> None:
    """A package manager that brings these."""
    machine.add("dpkg")
    lines = [
        f"printf '#!/bin/sh\\necho {one} 3.4\\n' > {machine.programs / one}; chmod 755 {machine.programs / one}"
        for one in programs
    ]
    machine.add("apt-get", "\n".join(['[ "$1" = install ] || exit 0', *lines]))


@pytest.mark.usefixtures("root")
def test_what_is_missing_is_installed(machine: Machine) -> None:
    installing(machine, "tmux")
    system.provide({TMUX})
    assert machine.asked == [
        "dpkg --configure -a",
        "apt-get update",
        "apt-get install --yes --no-install-recommends tmux rabbitmq-server",
    ]


@pytest.mark.usefixtures("root")
def test_what_is_there_is_left_alone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_RABBITMQ__ENABLED", "false")
    have_tmux(machine)
    installing(machine)
    system.provide({TMUX})
    assert machine.asked == []


@pytest.mark.usefixtures("root")
def test_an_older_tmux_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_RABBITMQ__ENABLED", "false")
    have_tmux(machine, "3.1c")
    installing(machine)
    with pytest.raises(SetupFailed, match=r"Without tmux 3\.2 or later no session can run"):
        system.provide({TMUX})
    assert machine.asked[-1] == "apt-get install --yes --no-install-recommends tmux"
    installing(machine, "tmux")
    system.provide({TMUX})


@pytest.mark.usefixtures("person")
def test_sudo_is_used_if_it_asks_nothing(machine: Machine) -> None:
    installing(machine, "tmux")
    machine.add("sudo", 'shift; exec "$@"')
    system.provide({TMUX})
    assert machine.asked[-1] == "apt-get install --yes --no-install-recommends tmux rabbitmq-server"


@pytest.mark.usefixtures("person")
def test_without_permission_one_is_told_what_to_install(machine: Machine) -> None:
    installing(machine)
    machine.add("sudo", "exit 1")
    with pytest.raises(SetupFailed) as failed:
        system.provide({TMUX})
    assert str(failed.value) == (
        "Missing: tmux and rabbitmq-server. Install with: sudo apt-get install tmux rabbitmq-server\n"
        "Without tmux 3.2 or later no session can run."
    )


@pytest.mark.usefixtures("person")
def test_nothing_ends_for_want_of_rabbitmq(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    have_tmux(machine)
    system.provide({TMUX})
    assert capsys.readouterr().out == (
        "Missing: rabbitmq-server. Install with this system's package manager.\n"
        "Without RabbitMQ events wait in Postgres; all else works.\n"
    )


@pytest.mark.usefixtures("person")
def test_tests_need_rabbitmq(machine: Machine) -> None:
    have_tmux(machine)
    with pytest.raises(SetupFailed, match="Without RabbitMQ"):
        system.provide({TMUX, RABBITMQ})


@pytest.mark.usefixtures("person")
def test_tests_need_prometheus_by_the_name_that_it_has_there(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_RABBITMQ__ENABLED", "false")
    have_tmux(machine)
    machine.add("dnf")
    system.provide({TMUX})
    with pytest.raises(SetupFailed) as failed:
        system.provide({TMUX, PROMETHEUS})
    assert str(failed.value) == (
        "Missing: prometheus. Install with: sudo dnf install golang-github-prometheus\n"
        "Without prometheus and promtool the alerts cannot be tested; all else works."
    )


@pytest.mark.usefixtures("root")
def test_a_prometheus_that_the_system_started_is_switched_off(machine: Machine, systemd: Path) -> None:
    installing(machine, "tmux", "prometheus", "promtool", "rabbitmq-server")
    machine.add("systemctl")
    systemd.mkdir()
    with pytest.raises(SetupFailed):  # for want of RabbitMQ, which is looked for elsewhere
        system.provide({TMUX, RABBITMQ, PROMETHEUS})
    assert machine.asked[-1] == (
        "systemctl disable --now rabbitmq-server.service epmd.socket epmd.service prometheus.service"
    )


@pytest.mark.usefixtures("root")
def test_a_failed_installation_is_told(machine: Machine) -> None:
    machine.add("dpkg")
    machine.add("apt-get", "echo 'the disk is full'; exit 100")
    with pytest.raises(SetupFailed, match="the disk is full"):
        system.provide({TMUX})


@pytest.mark.usefixtures("root")
def test_a_rabbitmq_that_the_system_started_is_switched_off(machine: Machine, systemd: Path) -> None:
    installing(machine, "tmux")
    machine.add("systemctl")
    systemd.mkdir()
    system.provide({TMUX})
    assert machine.asked[-1] == "systemctl disable --now rabbitmq-server.service epmd.socket epmd.service"
