"""The plan of a chaos run."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.harness.faults import KILL_POINTS
from tests.chaos.harness.schedule import Command, Fault, plan
from tests.support.points import named_effects


@given(st.integers(), st.floats(1, 600), st.integers(1, 100))
def test_a_plan_is_a_function_of_its_arguments(seed: int, seconds: float, sessions: int) -> None:
    first = plan(seed, seconds, sessions)
    assert first == plan(seed, seconds, sessions)
    assert [step.at for step in first] == sorted(step.at for step in first)
    assert all(0 <= step.at < seconds and 0 <= step.pick < 1 and step.seconds > 0 for step in first)


def test_another_seed_is_another_plan() -> None:
    assert plan(1, 180, 12) != plan(2, 180, 12)


def test_a_longer_run_begins_with_the_shorter_one() -> None:
    assert plan(1, 600, 12)[: len(plan(1, 180, 12))] == plan(1, 180, 12)


@pytest.mark.parametrize("seed", range(20))
def test_each_fault_comes_within_three_minutes(seed: int) -> None:
    assert {step.what for step in plan(seed, 180, 12, hosts=2)} >= {*Fault, Command.SEND}


def test_faults_come_together_too() -> None:
    faults = [step for step in plan(1, 180, 12) if isinstance(step.what, Fault)]
    assert any(later.at < step.at + step.seconds for step, later in pairwise(faults))


def test_the_points_exist() -> None:
    assert {point.rpartition(".")[0] for point in KILL_POINTS} <= named_effects().keys()


def test_the_run_of_the_suite_has_every_command() -> None:
    assert {step.what for step in plan(1, 180, 12, hosts=2)} == {*Fault, *Command}


def test_what_happens_between_hosts_needs_two() -> None:
    between = {Fault.CUT_NETWORK, Fault.HOLD_NETWORK, Command.MOVE}
    assert not between & {step.what for step in plan(1, 600, 12)}
    assert between <= {step.what for step in plan(1, 600, 12, hosts=2)}
