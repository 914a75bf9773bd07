"""The unit and its environment file, as systemd understands them."""

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.unit import PACKAGED, Scope, environment_file, home_of, unit
from tests.support.guide import blocks
from tests.support.servers import REPOSITORY

FILES = {Scope.SYSTEM: "stratavored.service", Scope.USER: "user/stratavored.service"}
PRINTABLE = st.text(string.printable.translate({ord(letter): None for letter in "\r\x0b\x0c"}))


def made(home: str = "/home/me/state", program: str = "/opt/bin/stratavored", scope: Scope = Scope.USER) -> str:
    return unit(scope, program=Path(program), home=Path(home), environment=Path(home) / "e", user="me")


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("scope", Scope)
def test_what_is_packaged_is_current(scope: Scope) -> None:
    written = (REPOSITORY / "deploy/systemd" / FILES[scope]).read_text()
    assert written == PACKAGED[scope], f"write it anew: python -m cli.unit {scope} > deploy/systemd/{FILES[scope]}"


@pytest.mark.parametrize("scope", Scope)
def test_stopping_the_daemon_ends_nothing_else(scope: Scope) -> None:
    found = lines(made(scope=scope))
    assert (found["KillMode"], found["OOMPolicy"], found["Restart"]) == ("process", "continue", "on-failure")
    assert found["Type"] == "notify"


def test_the_guide_makes_what_the_packaged_service_of_the_machine_needs() -> None:
    """Its user, and its place; systemd makes the state directory, for that user alone."""
    found = lines(PACKAGED[Scope.SYSTEM])
    guide = "\n".join(blocks("deployment", "sh"))
    user = found["User"]
    assert re.search(rf"^sudo useradd .*--system .*--create-home .*\b{user}$", guide, re.MULTILINE)
    assert f"sudo cp deploy/systemd/{FILES[Scope.SYSTEM]} /etc/systemd/system/\n" in guide
    assert f"sudo systemctl enable --now {FILES[Scope.SYSTEM].removesuffix('.service')}\n" in guide
    assert f"python3 -m venv {Path(found['ExecStart']).parents[1]}\n" in guide
    home = home_of(PACKAGED[Scope.SYSTEM])
    assert f"export STRATAVORE_HOME={home} " in guide
    assert (f"/var/lib/{found['StateDirectory']}", found["StateDirectoryMode"]) == (home, "0700")
    assert "StateDirectory" not in made(scope=Scope.SYSTEM) + PACKAGED[Scope.USER]


def test_a_service_of_the_machine_is_no_service_of_a_person() -> None:
    system, own = lines(made(scope=Scope.SYSTEM)), lines(made())
    assert (system["User"], system["WantedBy"]) == ("me", "multi-user.target")
    assert "User" not in own
    assert own["WantedBy"] == "default.target"


def test_strange_paths_stay_what_they_are() -> None:
    found = lines(made('/home/a "b" 50%', "/opt/$x y/stratavored"))
    assert found["Environment"] == r'"STRATAVORE_HOME=/home/a \"b\" 50%%"'
    assert found["ExecStart"] == '"/opt/$$x y/stratavored"'
    assert found["EnvironmentFile"] == '/home/a "b" 50%%/e'


@given(st.dictionaries(st.from_regex(r"[A-Z_]+", fullmatch=True), PRINTABLE.filter(lambda text: "\0" not in text)))
def test_variables_can_be_read_back(variables: dict[str, str]) -> None:
    """By the rules of systemd.exec(5): a backslash in double quotes takes the meaning of ``"\\`$`` away."""
    found = re.findall(r'^([A-Z_]+)="((?:[^"\\]|\\.)*)"$', environment_file(variables), re.MULTILINE | re.DOTALL)
    assert {name: re.sub(r'\\(["\\`$])', r"\1", value) for name, value in found} == variables


def test_the_state_directory_of_a_unit() -> None:
    assert home_of(made()) == "/home/me/state"
    assert home_of("[Unit]\n") == ""
