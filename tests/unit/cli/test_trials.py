"""``stratavore setup`` and ``stratavore test`` with nothing to go to."""

import json

import pytest

from cli.setup import KEYS as STEP_KEYS
from cli.trials import KEYS, SERVERS
from tests.unit.cli.conftest import Run, Serve
from tests.unit.cli.examples import daemon


def test_without_servers_there_is_nothing_to_prepare(run: Run) -> None:
    result = run("setup")
    assert (result.code, result.out) == (0, "")
    assert result.err == "No servers are configured: the daemon starts its own and prepares them.\n"


def test_a_server_that_cannot_be_prepared_does_not_keep_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_POSTGRES__DSN", "postgresql://u:s3cret@127.0.0.1:1/db")
    monkeypatch.setenv("STRATAVORE_RABBITMQ__URL", "amqp://u:s3cret@127.0.0.1:1/")
    result = run("setup", "--format", "json")
    steps = json.loads(result.out)
    assert result.code == 4
    assert [(step["server"], step["state"]) for step in steps] == [("database", "failed"), ("messaging", "failed")]
    assert all(list(step) == list(STEP_KEYS) for step in steps)
    assert all("cannot be reached at 127.0.0.1:1: " in step["detail"] for step in steps)
    assert "s3cret" not in result.out + result.err


def test_each_server_that_is_not_there_is_told(run: Run) -> None:
    result = run("test", "--format", "json")
    found = json.loads(result.out)
    assert result.code == 4
    assert [one["server"] for one in found] == list(SERVERS)
    assert all(list(one) == list(KEYS) and one["ok"] is False and one["detail"] for one in found)


def test_the_daemon_is_asked(fake: Serve, run: Run) -> None:
    fake(daemon_status=daemon())
    result = run("test", "api")
    assert result.code == 0
    head, line = result.out.splitlines()
    assert head.split() == ["SERVER", "CHECK", "RESULT", "MS", "DETAIL"]
    assert line.startswith("api     socket  ok")
    assert line.endswith("stratavored 0.1.0 on here, process 10")


def test_a_daemon_of_another_version_is_told(fake: Serve, run: Run) -> None:
    fake(daemon_status=daemon() | {"version": "0.0.1"})
    result = run("test", "api")
    assert result.code == 4
    assert "the daemon is version 0.0.1, and this command 0.1.0" in result.out


def test_a_name_that_is_none_is_refused(run: Run) -> None:
    result = run("test", "databse")
    assert (result.code, result.out) == (2, "")
    assert "(did you mean 'database'?)" in result.err
