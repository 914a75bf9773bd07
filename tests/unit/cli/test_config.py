import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stratavore.config.keys import SETTINGS
from tests.unit.cli.conftest import Run

SECRET = "s3cret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(f"host: build-1\npostgres:\n  dsn: postgresql://me:{SECRET}@db.example/x\nlog:\n  level: error\n")
    path.chmod(0o600)
    return path


def test_each_setting_is_shown_with_its_source(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_LOG__LEVEL", "debug")
    result = run("--config", str(file), "config", "show", "--format", "json")
    assert (result.code, result.err) == (0, "")
    shown = {row.pop("key"): row for row in json.loads(result.out)}
    assert shown.keys() == SETTINGS.keys()
    assert shown["postgres.dsn"] == {
        "value": "postgresql://me:****@db.example/x",
        "source": f"{file}:3",
        "variable": "STRATAVORE_POSTGRES__DSN",
    }
    assert shown["log.level"] == {
        "value": "debug",
        "source": "STRATAVORE_LOG__LEVEL",
        "variable": "STRATAVORE_LOG__LEVEL",
    }
    assert shown["metrics.port"] == {"value": 9091, "source": "default", "variable": "STRATAVORE_METRICS__PORT"}
    assert shown["temporal.address"]["value"] is None
    assert yaml.safe_load(run("config", "show", "--format", "yaml").out) == [
        {"key": key, **row} for key, row in shown.items()
    ]


def test_people_see_a_table(run: Run, file: Path) -> None:
    plain = run("--config", str(file), "config", "show").out.splitlines()
    assert plain[0].split() == ["KEY", "VALUE"]
    assert [line.split() for line in plain if line.startswith("rabbitmq.e")] == [["rabbitmq.enabled", "true"]]
    sources = run("config", "show", "--source").out.splitlines()
    assert sources[0].split() == ["KEY", "VALUE", "SOURCE"]
    assert sources[1].split() == ["host", "build-1", f"{file}:1"]
    assert SECRET not in "".join(plain + sources)


def test_a_right_file_is_said_to_be(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("config", "validate", str(file)) == (0, f"The configuration is right: {file}.\n", "")
    monkeypatch.setenv("STRATAVORE_METRICS__PORT", "1")
    assert run("config", "validate", str(file)).out == f"The configuration is right: {file} and 1 variable.\n"


def test_what_is_suspicious_is_said_beside_it(run: Run, file: Path) -> None:
    file.chmod(0o644)
    result = run("config", "validate", str(file))
    assert result.code == 0
    assert result.err.startswith(f"Warning: {file} holds 'postgres.dsn', and every user")


@pytest.mark.parametrize("words", [("config", "validate"), ("config", "show")])
def test_a_wrong_one_is_refused_in_one_sentence(run: Run, file: Path, words: tuple[str, ...]) -> None:
    file.write_text("host: a\nlogs: {}\n")
    result = run("--config", str(file), *words)
    assert result == (2, "", f"Error: {file}, line 2: there is no setting 'logs'; did you mean 'log'?\n")


@pytest.mark.parametrize("words", [("config", "show"), ("status",), ("projects",)])
def test_a_file_that_is_not_there_is_refused_before_anything(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    missing = tmp_path / "none.yaml"
    result = run("--config", str(missing), *words)
    assert result.code == 2
    assert result.err == (
        f"Error: There is no configuration file {missing}, which --config or STRATAVORE_CONFIG names. "
        "Create it, or name another.\n"
    )


def test_commands_that_need_no_settings_do_not_pay_for_them() -> None:
    code = (
        "import sys, cli.main, cli.background, cli.status; print([m for m in ('pydantic', 'yaml') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
