import pytest

from stratavore.near_names import did_you_mean, near_names

KNOWN = ["site", "sites", "board", "runners"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("sit", "'site' or 'sites'"), ("borad", "'board'"), ("runers", "'runners'"), ("zzz", ""), ("", "")],
)
def test_names_that_are_near(name: str, near: str) -> None:
    assert near_names(name, KNOWN) == near
    assert did_you_mean(name, KNOWN) == (f" (did you mean {near}?)" if near else "")
