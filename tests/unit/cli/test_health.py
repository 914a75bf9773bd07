"""What ``health`` says of what the daemon found."""

import json
from typing import Any

from cli.health import KEYS, PART_KEYS
from stratavore.models.findings import Health, Part, PartState
from tests.unit.cli.conftest import Run, Serve

GOOD = Part(name="postgres", state=PartState.OK, detail="answers in 0.4 ms", figures={"round_trip_ms": 0.4})
ODD = Part(name="clock", state=PartState.WARNING, detail="3 s ahead", hint="Set it")
BAD = Part(name="disk", state=PartState.PROBLEM, detail="0.1 GB are free", hint="Make room there")


def found(*checks: Part) -> dict[str, Any]:
    healthy = all(one.state is not PartState.PROBLEM for one in checks)
    return Health(healthy=healthy, parts=checks).model_dump(mode="json")


def test_all_is_well_in_one_line(fake: Serve, run: Run) -> None:
    fake(health=found(GOOD))
    assert run("health") == (0, "healthy\n", "")
    assert run("health", "--verbose").out == "ok       postgres  answers in 0.4 ms\nhealthy\n"


def test_a_warning_is_told_and_is_no_failure(fake: Serve, run: Run) -> None:
    fake(health=found(GOOD, ODD))
    assert run("health") == (0, "warning  clock  3 s ahead\n                Set it.\nhealthy\n", "")


def test_a_problem_is_told_with_the_way_out(fake: Serve, run: Run) -> None:
    fake(health=found(GOOD, BAD))
    assert run("health") == (1, "problem  disk  0.1 GB are free\n               Make room there.\nnot healthy\n", "")


def test_nothing_that_runs_is_a_problem_too(run: Run) -> None:
    code, out, err = run("health")
    assert code == 1
    assert out == "problem  daemon  The daemon does not answer. Start it with: stratavore daemon start.\nnot healthy\n"
    assert err == ""


def test_programs_get_the_documented_keys(fake: Serve, run: Run) -> None:
    fake(health=found(GOOD, BAD))
    code, out, _ = run("health", "--format", "json")
    shown = json.loads(out)
    assert (code, tuple(shown), shown["healthy"]) == (1, KEYS, False)
    assert all(tuple(one) == PART_KEYS for one in shown["parts"])
    assert shown["parts"][0]["figures"] == {"round_trip_ms": 0.4}
