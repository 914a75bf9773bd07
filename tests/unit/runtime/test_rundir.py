"""What a person typed reaches the program as it was typed, through a real shell that never parses it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stratavore.errors import InvalidInput
from stratavore.paths import Home
from stratavore.runtime.rundir import RunDirectory, RunSpec

SESSION = "00000000-0000-4000-8000-000000000000"
TELL = (
    "import json, os, sys; print(json.dumps([[list(os.fsencode(one)) for one in sys.argv[1:]],"
    " {name: list(os.fsencode(value)) for name, value in os.environ.items()}, list(os.getcwdb())]))"
)
anything = st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
shellish = st.text(st.sampled_from("'\"\\$`;|&<>(){}[]*?~#! \n\t=-abc%\r"), max_size=30)
words = anything | shellish
names = st.from_regex(r"T_[A-Za-z0-9_]{0,8}", fullmatch=True)
folders = (anything | shellish).map(lambda name: name.replace("/", "")).filter(lambda name: name not in ("", ".", ".."))


def home_in(directory: Path) -> Home:
    home = Home(directory / "it's a $HOME")
    home.runners.mkdir(parents=True, exist_ok=True)  # not all of it: its sockets would lie elsewhere, and stay
    return home


def spec_of(*argv: str, cwd: str) -> RunSpec:
    return RunSpec(f"{SESSION}.1", SESSION, "p", "demo", "command", 1, argv, cwd)


def run_script(files: RunDirectory) -> subprocess.CompletedProcess[bytes]:
    """As the wrapper does it."""
    return subprocess.run(
        ["/bin/sh", "-c", '. "$0/launch"', str(files.path)],
        env={"PATH": os.defpath, "TMUX": "x", "TMUX_PANE": "y"},
        stdout=subprocess.PIPE,
        check=True,
    )


@given(argv=st.lists(words, max_size=4), environment=st.dictionaries(names, words, max_size=4), folder=folders)
@example(argv=["$(touch hurt)", "`touch hurt`", "'; touch hurt; '"], environment={"T_": "`id`"}, folder="$(id)")
@example(argv=["", "\n", "-c", "--"], environment={"T_A": ""}, folder="-")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_everything_arrives_whole_and_no_shell_parses_it(
    tmp_path: Path, argv: list[str], environment: dict[str, str], folder: str
) -> None:
    home = home_in(tmp_path)
    cwd = tmp_path / "work" / folder
    cwd.mkdir(parents=True, exist_ok=True)
    files = RunDirectory(home, f"{SESSION}.1")
    files.prepare(spec_of(sys.executable, "-c", TELL, *argv, cwd=str(cwd)), environment)
    told_argv, told_environment, told_cwd = json.loads(run_script(files).stdout)
    assert [bytes(one) for one in told_argv] == [os.fsencode(one) for one in argv]
    found = {name: bytes(value) for name, value in told_environment.items()}
    assert {name: found[name] for name in environment} == {name: os.fsencode(v) for name, v in environment.items()}
    assert bytes(told_cwd) == os.fsencode(cwd)
    assert found["STRATAVORE_SESSION_ID"] == SESSION.encode()
    assert found["STRATAVORE_HOME"] == os.fsencode(home.root)
    assert not {"TMUX", "TMUX_PANE"} & set(found)
    assert os.listdir(cwd) == []
    assert list(files.path.glob(".*")) == []


@pytest.mark.parametrize(
    "name", ["IFS", "ENV", "BASH_ENV", "PS4;x", "a b", "BASH_FUNC_f%%", "1A", "", "UID", "PPID", "TERM", "TMUX", "É"]
)
def test_variables_that_are_the_shells_or_the_old_terminals_stay_out(tmp_path: Path, name: str) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    files.prepare(spec_of(sys.executable, "-c", TELL, cwd=str(tmp_path)), {name: "of-the-caller", "T_KEPT": "yes"})
    assert b"of-the-caller" not in (files.path / "launch").read_bytes()
    assert bytes(json.loads(run_script(files).stdout)[1]["T_KEPT"]) == b"yes"


@pytest.mark.parametrize("argv", [(), ("",), ("-c", "x"), ("a\0b",), ("sh", "\0")])
def test_words_that_no_program_can_get_are_refused(tmp_path: Path, argv: tuple[str, ...]) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    with pytest.raises(InvalidInput):
        files.prepare(spec_of(*argv, cwd=str(tmp_path)), {})
    assert not files.path.exists()


def test_a_directory_that_is_no_whole_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a whole path"):
        RunDirectory(home_in(tmp_path), f"{SESSION}.1").prepare(spec_of("true", cwd="work"), {})


@given(argv=st.lists(words, min_size=1, max_size=3), cwd=words)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_was_prepared_is_read_again(tmp_path: Path, argv: list[str], cwd: str) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    spec = spec_of("program", *argv, cwd="/" + cwd)
    files.prepare(spec, {})
    assert files.spec() == spec
    files.prepare(replace(spec, argv=("other",)), {})
    again = files.spec()
    assert again is not None and again.argv == ("other",)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"argv": 1}', b'{"argv": [], "more": 1}', b"\xff"])
def test_a_damaged_file_is_nothing(tmp_path: Path, content: bytes) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    files.path.mkdir()
    for name in ("spec.json", "started", "pid", "exit"):
        (files.path / name).write_bytes(content)
    assert (files.spec(), files.wrapper(), files.agent(), files.exit()) == (None, None, None, None)
    assert files.saved_screen() == ""


def test_an_exit_is_read_with_its_signals_once_each(tmp_path: Path) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    files.path.mkdir()
    (files.path / "exit").write_text("143 TERM INT TERM\n")
    record = files.exit()
    assert record is not None
    assert (record.code, record.signals, record.refused, record.asked) == (143, ("TERM", "INT"), False, False)
    files.ask_stop()
    (files.path / "refused").touch()
    record = files.exit()
    assert record is not None and record.refused and record.asked


def test_half_a_line_names_no_process(tmp_path: Path) -> None:
    files = RunDirectory(home_in(tmp_path), f"{SESSION}.1")
    files.path.mkdir()
    whole = "boot " + Path("/proc/self/stat").read_text()
    (files.path / "pid").write_text(whole.rstrip("\n"))
    assert files.agent() is None
    (files.path / "pid").write_text(whole)
    agent = files.agent()
    assert agent is not None and agent.pid == os.getpid()
