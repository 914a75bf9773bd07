import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.errors import InvalidInput
from stratavore.events.topics import LONGEST_KEY, expression, normal

WORDS = ("runner", "started", "site", "run")


def matches(pattern: str, key: str) -> bool:
    return re.search(expression(pattern), f".{key}") is not None


def told(pattern: Sequence[str], key: Sequence[str]) -> bool:
    """What the AMQP specification says of topics, word by word."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(told(pattern[1:], key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and told(pattern[1:], key[1:])


@given(
    pattern=st.lists(st.sampled_from(["*", "#", *WORDS]), min_size=1, max_size=6),
    key=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
def test_patterns_mean_what_amqp_says(pattern: list[str], key: list[str]) -> None:
    assert matches(".".join(pattern), ".".join(key)) is told(pattern, key)
    assert told(normal(".".join(pattern)).split("."), key) is told(pattern, key)


@given(
    pattern=st.text(st.characters(exclude_characters="*#"), max_size=20), key=st.sampled_from(["a", "a.b", "+", "x-y"])
)
def test_a_pattern_without_wildcards_matches_itself_only(pattern: str, key: str) -> None:
    if pattern.isprintable():
        assert matches(pattern, pattern)
        assert matches(pattern, key) is (pattern == key)


@pytest.mark.parametrize(
    ("pattern", "key", "matching"),
    [
        ("runner.*.site", "runner.started.site", True),
        ("runner.*.site", "runner.started.site%2Ev2", False),
        ("runner.*", "runner.started.site", False),
        ("session.#", "session.created.site", True),
        ("#.site", "session.created.site", True),
        ("#.site", "session.created.mysite", False),
        ("runner.#.runner.started.site", "runner.started.site", False),
        ("runner.started.site.#", "runner.started.site", True),
        ("run*", "runner", False),
        ("#x", "runner", False),
        ("runner.started.s.te", "runner.started.site", False),
        ("", "runner", False),
        ("#.", "runner", False),
    ],
)
def test_examples(pattern: str, key: str, matching: bool) -> None:
    assert matches(pattern, key) is matching


@pytest.mark.parametrize("pattern", ["a\0b", "a\n", "\udcff", "\x1b[2J"])
def test_what_cannot_be_printed_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="printable characters only"):
        normal(pattern)


def test_length_counts_in_bytes() -> None:
    normal("é" * (LONGEST_KEY // 2))
    with pytest.raises(InvalidInput, match="at most 255"):
        expression("é" * (LONGEST_KEY // 2 + 1))


@pytest.mark.parametrize(
    ("pattern", "simplest"),
    [
        ("a.#.#.#.b", "a.#.b"),
        ("#.*.#.*.#", "*.*.#"),
        ("#.*", "*.#"),
        ("#.a.#", "#.a.#"),
        ("*.*", "*.*"),
        (".", "."),
        ("", ""),
    ],
)
def test_the_simplest_pattern_of_the_same_meaning(pattern: str, simplest: str) -> None:
    assert normal(pattern) == simplest
