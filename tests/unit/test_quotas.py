"""Limits as they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.errors import InvalidInput
from stratavore.quotas import QUOTAS, Quota, check_of_session, find_quota, parse_value, waits_for


@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota.short)
def test_a_limit_is_found_in_every_spelling(quota: Quota) -> None:
    spellings = {quota.name, quota.short}
    spellings |= {one.replace("_", "-") for one in spellings} | {one.replace("-", "_") for one in spellings}
    for spelled in spellings | {one.upper() for one in spellings}:
        assert find_quota(spelled) is quota


@given(name=st.text().filter(lambda name: not name.lower().startswith("max")))
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidInput, match="there is: max-runners, max-memory, max-tokens"):
        find_quota(name)


@given(quota=st.sampled_from(QUOTAS), value=st.integers())
def test_values_in_range_are_taken_and_others_refused(quota: Quota, value: int) -> None:
    if 0 <= value <= quota.most:
        assert parse_value(quota, str(value)) == value
    else:
        with pytest.raises(InvalidInput, match=f"{quota.short} is a number of {quota.unit} from 0 to {quota.most}"):
            parse_value(quota, str(value))
    assert parse_value(quota, "none") is None


@pytest.mark.parametrize("text", ["", "4GB", "1.5", "1e3", "-", "--1", "1_000", "1,000", "٣", " 1", "None"])
def test_units_and_what_is_no_number_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_value(find_quota("max-memory"), text)
    assert str(raised.value) == f"max-memory is a whole number of MB or 'none', not '{text}'."


def test_why_a_session_waits() -> None:
    assert waits_for("max_tokens_per_day", 100_000, 100_000, "global") == "waits: 100,000 of 100,000 tokens used today"
    assert waits_for("max_memory_mb", 2100, 2048, "project") == "waits: 2,100 of 2,048 MB are used in its project"
    assert waits_for("max_tokens_per_day", 7, 5, "session") == "waits: 7 of 5 tokens used today by this session"


def test_a_session_has_no_limit_of_runners() -> None:
    for quota in QUOTAS:
        if quota.short != "max-runners":
            check_of_session(quota)
    with pytest.raises(InvalidInput) as raised:
        check_of_session(find_quota("max-runners"))
    wanted = "A session has one runner, so max-runners is not for sessions; they have max-memory and max-tokens."
    assert str(raised.value) == wanted
