import os
import signal
import subprocess
import sys

import pytest

from stratavore.killpoints import VARIABLE

PROGRAM = """
import os, subprocess, sys
from stratavore.killpoints import effect
print("began", flush=True)
try:
    with effect("step"):
        print("done", flush=True)
        if sys.argv[1:] == ["fail"]:
            raise ValueError
except ValueError:
    print("failed", flush=True)
print(os.environ.get("STRATAVORE_KILL_AT"), flush=True)
"""


def run(point: str | None, *words: str) -> tuple[int, list[str]]:
    environment = os.environ | ({VARIABLE: point} if point else {})
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    return answer.returncode, answer.stdout.split()


@pytest.mark.parametrize(
    ("point", "words", "code", "said"),
    [
        ("step.before", [], -signal.SIGKILL, ["began"]),
        ("step.after", [], -signal.SIGKILL, ["began", "done"]),
        # What failed was not done: there is no "after".
        ("step.after", ["fail"], 0, ["began", "done", "failed", "None"]),
        # Children are not to die at it as well.
        ("other.before", [], 0, ["began", "done", "None"]),
        (None, [], 0, ["began", "done", "None"]),
    ],
)
def test_a_process_dies_at_its_point_only(point: str | None, words: list[str], code: int, said: list[str]) -> None:
    assert run(point, *words) == (code, said)
