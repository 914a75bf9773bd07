import json
import math
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stratavore.events.canonical import DEEPEST, LARGEST_INTEGER, canonical, clean

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=4) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


def in_doubles(text: str) -> Any:
    """JSON as the RFC reads it: every number is a double."""
    return json.loads(text, parse_int=float)


# RFC 8785, appendix B: the bits of a double, and its spelling.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

# RFC 8785, section 3.2.2 and its result in section 3.2.3.
EXAMPLE = r"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
CANONICAL_EXAMPLE = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)

# RFC 8785, section 3.2.3: names in the order of their UTF-16 code units.
NAMES = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\U0001f600": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
}
NAMES_IN_ORDER = [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
]


@pytest.mark.parametrize(("bits", "spelling"), NUMBERS)
def test_numbers_are_spelled_as_the_rfc_spells_them(bits: str, spelling: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == spelling


def test_the_example_of_the_rfc() -> None:
    assert canonical(json.loads(EXAMPLE)) == CANONICAL_EXAMPLE


def test_members_are_sorted_by_utf16_code_units() -> None:
    assert list(json.loads(canonical(NAMES)).values()) == NAMES_IN_ORDER


@given(value=ANYTHING)
def test_the_canonical_spelling_is_json_of_the_same_value_and_stable(value: Any) -> None:
    cleaned = clean(value)
    spelled = canonical(cleaned)
    assert in_doubles(spelled) == in_doubles(json.dumps(cleaned))
    assert canonical(json.loads(spelled)) == spelled


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back(number: float) -> None:
    assert float(canonical(number)) == number


@given(members=st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=6))
def test_the_order_of_members_does_not_matter(members: dict[str, int]) -> None:
    assert canonical(dict(reversed(members.items()))) == canonical(members)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 10**400, b"bytes", {1, 2}, object(), ["\ud800"], {"\udfff": 1}]
)
def test_what_is_no_json_has_no_spelling(value: object) -> None:
    with pytest.raises(ValueError):
        canonical(value)


def test_integers_that_only_a_double_holds_are_spelled_as_doubles() -> None:
    assert canonical(LARGEST_INTEGER) == "9007199254740991"
    assert canonical(2**53 + 1) == "9007199254740992"
    assert canonical(10**21) == "1e+21"


@given(value=ANYTHING)
@example(value={"a": {1: (2, {3})}})
def test_clean_is_json_that_is_clean(value: Any) -> None:
    cleaned = clean(value)
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned
    assert clean(cleaned) == cleaned
    json.dumps(cleaned, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("a\0b\ud800c\U0001f600", "a\ufffdb\ufffdc\U0001f600"),
        ({"\0": 1}, {"\ufffd": 1}),
        (LARGEST_INTEGER, LARGEST_INTEGER),
        (LARGEST_INTEGER + 1, "9007199254740992"),
        (-LARGEST_INTEGER - 1, "-9007199254740992"),
        (math.nan, None),
        (-math.inf, None),
        (True, True),
        ((1, 2), [1, 2]),
        ({3: "three"}, {"3": "three"}),
        (ValueError("why"), "why"),
    ],
)
def test_what_clean_makes_of_values(value: object, cleaned: object) -> None:
    assert clean(value) == cleaned


def test_an_integer_of_more_digits_than_python_writes_stays_exact() -> None:
    enormous = 10**5000
    assert int(clean(enormous), 16) == enormous


def test_what_is_nested_too_deep_is_cut_off() -> None:
    endless: list[Any] = []
    endless.append(endless)
    cleaned = clean(endless)
    for _ in range(DEEPEST - 1):
        (cleaned,) = cleaned
    assert cleaned == ["…"]
