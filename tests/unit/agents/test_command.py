"""What is known of any program: when it is busy, and what its end means."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stratavore.agents.adapter import Judgement, Observation, Plan, Start
from stratavore.agents.command import BUSY_SECONDS, STARTING_SECONDS, Command
from stratavore.agents.registry import UnknownAgent, adapter_for, agent_names
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity, ExitKind
from stratavore.runtime.rundir import ExitRecord, RunSpec

SPEC = RunSpec("s.1", "s", "p", "demo", "command", 1, ("my program", "x"), "/")


def record(code: int, *signals: str, refused: bool = False, asked: bool = False) -> ExitRecord:
    return ExitRecord(code, signals, datetime.now(UTC), refused=refused, asked=asked)


@pytest.mark.parametrize(
    ("ended", "kind", "reason"),
    [
        (None, ExitKind.LOST, "its terminal or its machine went away"),
        (record(0), ExitKind.COMPLETED, "it ended by itself"),
        (record(1), ExitKind.CRASHED, "it ended with exit code 1"),
        (record(127), ExitKind.CRASHED, "it ended with exit code 127"),
        (record(255), ExitKind.CRASHED, "it ended with exit code 255"),
        (record(137), ExitKind.CRASHED, "it ended with exit code 137 (SIGKILL)"),
        (record(139), ExitKind.CRASHED, "it ended with exit code 139 (SIGSEGV)"),
        (record(127, refused=True), ExitKind.REFUSED, "'my program' was not found"),
        (record(126, refused=True), ExitKind.REFUSED, "could not be executed, or its directory not entered"),
        (record(127, refused=True, asked=True), ExitKind.REFUSED, "was not found"),
        # Ended at its keyboard, where the terminal signals the wrapper as well.
        (record(130, "INT"), ExitKind.COMPLETED, "Ctrl-C"),
        (record(131, "QUIT"), ExitKind.COMPLETED, "Ctrl-\\"),
        # Not at its keyboard: the wrapper would have seen it. Or the agent handled it, and failed later.
        (record(130), ExitKind.CRASHED, "SIGINT"),
        (record(131, "INT"), ExitKind.CRASHED, "SIGQUIT"),
        (record(1, "INT"), ExitKind.CRASHED, "exit code 1"),
        (record(0, "INT"), ExitKind.COMPLETED, "by itself"),
        # The machine shuts down: all get SIGTERM, and end however they like.
        (record(143, "TERM"), ExitKind.LOST, "from outside"),
        (record(0, "TERM"), ExitKind.LOST, "from outside"),
        (record(1, "INT", "TERM"), ExitKind.LOST, "from outside"),
        # Somebody sent SIGTERM to the agent alone.
        (record(143), ExitKind.CRASHED, "SIGTERM"),
        # It was us, and nothing else matters.
        (record(143, "TERM", asked=True), ExitKind.COMPLETED, "it was asked to end"),
        (record(137, "TERM", asked=True), ExitKind.COMPLETED, "it was asked to end"),
        (record(0, asked=True), ExitKind.COMPLETED, "it was asked to end"),
        (record(7, asked=True), ExitKind.COMPLETED, "it was asked to end"),
    ],
)
def test_what_an_end_means(ended: ExitRecord | None, kind: ExitKind, reason: str) -> None:
    found, said = Command().classify_exit(ended, SPEC)
    assert found is kind
    assert reason in said


def test_an_end_whose_files_are_gone_is_told_without_the_name() -> None:
    assert Command().classify_exit(record(127, refused=True), None) == (
        ExitKind.REFUSED,
        "its program was not found",
    )


@pytest.mark.parametrize(
    ("alive", "quiet", "activity"),
    [
        (0, None, Activity.STARTING),
        (STARTING_SECONDS - 0.1, None, Activity.STARTING),
        (STARTING_SECONDS, None, Activity.IDLE),
        (0, 0, Activity.BUSY),
        (100, BUSY_SECONDS - 0.1, Activity.BUSY),
        (100, BUSY_SECONDS, Activity.IDLE),
        (100, -1, Activity.BUSY),
    ],
)
def test_busy_is_who_writes(alive: float, quiet: float | None, activity: Activity) -> None:
    assert Command().follow({}).judge(Observation(alive, quiet)) == Judgement(activity)


def test_a_resumed_program_gets_the_same_words() -> None:
    spec = LaunchSpec(agent="command", argv=("a", "b c"), cwd="/")
    command = Command()
    command.check(spec, {})
    for resume in (False, True):
        assert command.plan(spec, Start("s", "s", resume, Path("/run"), {})) == Plan(("a", "b c"))


def test_no_words_are_refused_before_anything_is_made() -> None:
    with pytest.raises(InvalidInput, match="give it after '--'"):
        Command().check(LaunchSpec(agent="command", argv=(), cwd="/"), {})


def test_agents_are_known_by_name() -> None:
    assert all(adapter_for(name).name == name for name in agent_names())
    with pytest.raises(UnknownAgent, match=r"no agent 'nobody'\. Known are: .*command"):
        adapter_for("nobody")
