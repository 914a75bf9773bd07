"""What ``reconcile`` says of what the daemon found."""

import json
from typing import Any

import pytest

from cli.reconcile import DIFFERENCE_KEYS, KEYS
from stratavore.models.findings import Difference, DifferenceKind, Outcome, Reconciliation
from tests.unit.cli.conftest import Run, Serve, only
from tests.unit.cli.examples import FIRST, NOW


def found(*outcomes: Outcome, unseen: tuple[str, ...] = (), dry_run: bool = False) -> dict[str, Any]:
    differences = tuple(
        Difference(
            kind=DifferenceKind.SLOT_UNUSED,
            subject=FIRST,
            session_id=FIRST,
            project="site",
            what="The session 1a2b3c4d is ended, but holds a slot",
            since=NOW,
            outcome=outcome,
            action="it is given back",
        )
        for outcome in outcomes
    )
    return Reconciliation(dry_run=dry_run, differences=differences, unseen=unseen).model_dump(mode="json")


def test_nothing_differs(fake: Serve, run: Run) -> None:
    fake(reconcile=found())
    assert run("reconcile") == (0, "Nothing differs.\n", "")


def test_what_was_repaired_is_said_in_words(fake: Serve, run: Run) -> None:
    daemon = fake(reconcile=found(Outcome.REPAIRED, unseen=("processes of the host b",)))
    code, out, err = run("reconcile")
    first, second, third = out.splitlines()
    assert first.startswith("The session 1a2b3c4d is ended, but holds a slot (since ")
    assert second == "  repaired: it is given back"
    assert third == "1 difference: 1 repaired."
    assert (code, err) == (0, "Not looked at: processes of the host b.\n")
    assert only(daemon.asked("reconcile")) == {"dry_run": False, "end_orphans": False}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.FOUND, 1), (Outcome.LEFT, 1), (Outcome.FAILED, 1), (Outcome.REPAIRED, 0), (Outcome.GONE, 0)],
)
def test_a_difference_that_remains_is_told_by_the_exit_code(fake: Serve, run: Run, outcome: Outcome, code: int) -> None:
    daemon = fake(reconcile=found(Outcome.REPAIRED, outcome))
    assert run("reconcile", "--dry-run", "--end-orphans").code == code
    assert only(daemon.asked("reconcile")) == {"dry_run": True, "end_orphans": True}


def test_programs_get_the_documented_keys(fake: Serve, run: Run) -> None:
    fake(reconcile=found(Outcome.LEFT))
    shown = json.loads(run("reconcile", "--format", "json").out)
    assert tuple(shown) == KEYS
    assert tuple(only(shown["differences"])) == DIFFERENCE_KEYS
