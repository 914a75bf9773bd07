import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore import procfs
from stratavore.procfs import Stat, parse_stat
from stratavore.runtime.processes import parse_identity
from tests.support.waiting import until

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=15) | st.sampled_from(
    [")", "(", ") Z 1 (", "a) S 1 2 3", " ", "", "\n", ")) R 0"]
)
numbers = st.integers(0, 2**63)


def stat_line(name: str, *, pid: int = 7, state: str = "S", fields: dict[int, int]) -> str:
    """As the kernel writes it: fields are counted from 3, the state."""
    rest = [str(fields.get(number, 0)) for number in range(4, 53)]
    return f"{pid} ({name}) {state} {' '.join(rest)}\n"


@given(name=names, state=st.sampled_from("RSDZTtXI"), parent=numbers, user=numbers, system=numbers, start=numbers)
def test_a_program_may_have_any_name(name: str, state: str, parent: int, user: int, system: int, start: int) -> None:
    line = stat_line(name, state=state, fields={4: parent, 6: 5, 9: 64, 14: user, 15: system, 22: start, 24: 9})
    assert parse_stat(line) == Stat(state, parent, 5, user + system, start, 9, 64)


@given(name=names, pid=st.integers(1, 2**22), start=numbers)
def test_what_a_shell_wrote_of_itself_names_it(name: str, pid: int, start: int) -> None:
    found = parse_identity("the-boot " + stat_line(name, pid=pid, fields={22: start}))
    assert found is not None
    assert (found.pid, found.start_ticks, found.boot_id) == (pid, start, "the-boot")


@given(text=st.text())
def test_any_other_text_is_refused_with_a_value_error(text: str) -> None:
    if len(text.rpartition(")")[2].split()) < 22:
        with pytest.raises(ValueError):
            parse_stat(text)
        assert parse_identity(text) is None


def test_a_line_cut_short_is_refused() -> None:
    line = stat_line("sleep", fields={22: 1})
    with pytest.raises(ValueError):
        parse_stat(line[: line.index(")") + 20])


async def test_a_process_with_an_odd_name_is_read_whole(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"], env={"NAME": "value", "LAST": "x=y"}) as child:
        try:
            stat = procfs.stat(child.pid)
            assert (stat.parent, stat.ended) == (os.getpid(), False)
            assert stat.start_ticks > 0 and procfs.threads(child.pid) == 1
            assert child.pid in procfs.pids()
            # For a moment while a program is executed, it has no environment yet.
            await until(lambda: procfs.environment_value(child.pid, "NAME") == "value")
            assert procfs.environment_value(child.pid, "LAST") == "x=y"
            assert procfs.environment_value(child.pid, "AME") is None
            assert list(procfs.ancestors(child.pid))[:2] == [child.pid, os.getpid()]
        finally:
            child.kill()
    assert procfs.environment_value(child.pid, "NAME") is None
    assert procfs.threads(child.pid) == 0


def test_the_environment_of_a_program_that_is_just_being_executed_is_waited_for() -> None:
    for _ in range(200):  # without waiting one in 25 reads as empty
        with subprocess.Popen(["sleep", "600"], env={"NAME": "value"}) as child:
            try:
                assert procfs.environment_value(child.pid, "NAME") == "value"
            finally:
                child.kill()


def test_a_program_without_an_environment_has_no_variables() -> None:
    with subprocess.Popen(["/bin/sleep", "600"], env={}) as child:
        try:
            assert procfs.environment_value(child.pid, "NAME") is None
        finally:
            child.kill()
