import re
import subprocess
import sys
from pathlib import Path

import pytest

from setup import environment
from tests.support.servers import REPOSITORY


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment is elsewhere; nothing is really installed."""
    made = tmp_path / ".venv"
    monkeypatch.setattr(environment, "VENV", made)
    monkeypatch.setattr(environment, "PYTHON", made / "bin/python")
    monkeypatch.setattr(environment, "STAMP", made / "installed")
    return made


@pytest.fixture
def steps(venv: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done."""
    done: list[str] = []

    def run(title: str, command: list[str | Path]) -> None:
        done.append(title)
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin/python").touch()
        if title.endswith("itself") and "fail" in done:
            raise KeyboardInterrupt

    monkeypatch.setattr(environment, "run", run)
    return done


ALL = ["Making the virtual environment", "Installing the locked Python packages", "Installing Stratavore itself"]


def test_the_second_time_nothing_is_done(steps: list[str]) -> None:
    environment.provide("run")
    assert steps == ALL
    environment.provide("run")
    assert steps == ALL


def test_what_checks_it_has_all_that_runs_it_but_not_the_other_way_round(steps: list[str]) -> None:
    environment.provide("run")
    environment.provide("dev")
    assert len(steps) == 2 * len(ALL)
    environment.provide("run")
    assert len(steps) == 2 * len(ALL)


def test_what_was_interrupted_is_done_again(steps: list[str]) -> None:
    steps.append("fail")
    with pytest.raises(KeyboardInterrupt):
        environment.provide("run")
    steps.clear()
    environment.provide("run")
    assert steps == ALL


@pytest.mark.parametrize("module", ["setup.environment", "setup.compose_env"])
def test_what_runs_before_anything_is_installed_needs_the_standard_library_only(module: str) -> None:
    alone = [sys.executable, "-S", "-c", f"import {module}"]
    subprocess.run(alone, cwd=REPOSITORY, env={}, check=True)


@pytest.mark.parametrize("kind", environment.KINDS)
def test_everything_is_locked_with_hashes_and_without_an_index(kind: str) -> None:
    text = (REPOSITORY / f"requirements/{kind}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=sha256:", ""), re.MULTILINE)
    for requirement in re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in requirement


def test_both_lock_the_same_versions() -> None:
    run, dev = (
        set(re.findall(r"^\S+==\S+", (REPOSITORY / f"requirements/{kind}.txt").read_text(), re.MULTILINE))
        for kind in environment.KINDS
    )
    assert run < dev


def test_what_is_locked_is_complete() -> None:
    """It is installed without a look at what packages ask for: nothing may be missing."""
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
