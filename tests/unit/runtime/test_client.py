import os
import time
from pathlib import Path

import pytest

from stratavore.runtime.client import run

ENVIRONMENT = {"PATH": os.environ["PATH"]}


async def test_input_output_errors_and_exit_code(tmp_path: Path) -> None:
    answer = await run(
        ["sh", "-c", "cat; pwd; echo oh >&2; exit 3"],
        cwd=tmp_path,
        environment=ENVIRONMENT,
        input_="grüße \udcff\n",
        timeout=10,
    )
    assert (answer.code, answer.output, answer.errors) == (3, f"grüße \udcff\n{tmp_path}\n", "oh\n")


async def test_more_than_a_pipe_holds(tmp_path: Path) -> None:
    text = "x" * 1_000_000
    answer = await run(["cat"], cwd=tmp_path, environment=ENVIRONMENT, input_=text, timeout=20)
    assert answer.output == text


async def test_who_reads_no_input_is_no_error(tmp_path: Path) -> None:
    answer = await run(["true"], cwd=tmp_path, environment=ENVIRONMENT, input_="x" * 1_000_000, timeout=10)
    assert answer.code == 0


async def test_a_child_that_keeps_the_pipes_does_not_keep_us(tmp_path: Path) -> None:
    """As a tmux server does that its client started."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await run(
            ["sh", "-c", "sleep 30 & echo $! >pid; wait"],
            cwd=tmp_path,
            environment=ENVIRONMENT,
            input_="",
            timeout=0.3,
        )
    assert time.monotonic() - began < 20
    os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_there_is_no_such_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run(["no-such-program"], cwd=tmp_path, environment=ENVIRONMENT, input_="", timeout=10)
