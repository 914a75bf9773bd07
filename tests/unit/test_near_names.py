import pytest

from stratavore import quotas
from stratavore.errors import InvalidInput
from stratavore.near_names import did_you_mean, near_names

KNOWN = ["site", "sites", "board", "runners"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("sit", "'site' or 'sites'"), ("borad", "'board'"), ("runers", "'runners'"), ("zzz", ""), ("", "")],
)
def test_names_that_are_near(name: str, near: str) -> None:
    assert near_names(name, KNOWN) == near
    assert did_you_mean(name, KNOWN) == (f" (did you mean {near}?)" if near else "")


def test_a_limit_that_is_near_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"no limit 'max-runer' \(did you mean 'max-runners'"):
        quotas.find_quota("max-runer")
