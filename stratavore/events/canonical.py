"""JSON that survives its way: through ``jsonb``, through any consumer's parser, and under a signature.

:func:`clean` makes I-JSON (RFC 7493) of whatever an event carries, so that Postgres never refuses a
transaction because of what an agent wrote. :func:`canonical` is the one spelling of a JSON value (RFC 8785),
the same in every language.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any

LARGEST_INTEGER = 2**53 - 1
"""Up to here every JSON parser keeps an integer exact."""

DEEPEST = 32

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(value: Any, *, depth: int = DEEPEST) -> Any:
    """Copy a value as JSON that Postgres stores and gives back with the same canonical spelling.

    NUL characters and lone surrogates, which ``jsonb`` refuses, become U+FFFD. Integers beyond 2**53 - 1
    become strings; NaN and infinities become null. What is nested deeper than :data:`DEEPEST` becomes ``"…"``.
    Other types become their ``str()``.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _NOT_STORABLE.sub(_REPLACEMENT, str(value))
    if isinstance(value, int):
        return int(value) if abs(value) <= LARGEST_INTEGER else _digits(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict | list | tuple | set | frozenset):
        if depth == 0:
            return "…"
        if isinstance(value, dict):
            return {clean(str(name)): clean(one, depth=depth - 1) for name, one in value.items()}
        return [clean(one, depth=depth - 1) for one in value]
    return clean(str(value))


def canonical(value: Any) -> str:
    """The spelling of a JSON value by RFC 8785: members sorted, no spaces, numbers as ECMAScript writes them.

    Raises:
        ValueError: the value cannot be JSON, or holds lone surrogates or a number that no double holds.
    """
    if isinstance(value, dict):
        # By UTF-16 code units, as the RFC wants.
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(name)}:{canonical(one)}" for name, one in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return str(value)
    if isinstance(value, int | float):
        return _double(value)
    raise ValueError(f"{type(value).__name__} is no JSON")


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return hex(value)


def _text(value: str) -> str:
    value.encode()  # a lone surrogate has no UTF-8
    return json.dumps(value, ensure_ascii=False)


def _double(value: float) -> str:
    """A number as ECMAScript's ``Number::toString`` writes it: the fewest digits that give that double."""
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        raise ValueError("a number that no double holds is no JSON")
    if double == 0:
        return "0"
    negative, figures, exponent = Decimal(repr(double)).normalize().as_tuple()
    digits = "".join(map(str, figures))
    point = len(digits) + int(exponent)  # where the decimal point is, counted from the first digit
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
        text = f"{mantissa}e{point - 1:+d}"
    return f"-{text}" if negative else text
