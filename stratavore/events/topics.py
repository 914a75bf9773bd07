"""Topic patterns, as RabbitMQ compares them with routing keys: ``*`` is one word, ``#`` any number of words."""

import re

from stratavore.errors import InvalidInput

LONGEST_KEY = 255
"""Bytes, of a routing key and of a pattern: AMQP counts them in one byte."""

_MEANINGS = {"*": r"\.[^.]*", "#": r"(?:\.[^.]*)*"}


def normal(pattern: str) -> str:
    """The simplest pattern of the same meaning: no two ``#`` follow each other.

    RabbitMQ tries every way to share a key's words among them: a hundred in a row cost it ten seconds for each
    event, whoever published it.

    Raises:
        InvalidInput: the pattern is too long for AMQP, or holds characters that cannot be printed.
    """
    if not pattern.isprintable():
        raise InvalidInput(reason="A pattern holds printable characters only")
    if len(pattern.encode()) > LONGEST_KEY:
        raise InvalidInput(reason=f"A pattern has at most {LONGEST_KEY} characters")
    words: list[str] = []
    for word in pattern.split("."):
        if words[-1:] != ["#"] or word not in _MEANINGS:
            words.append(word)
        elif word == "*":
            words.insert(-1, word)  # "#.*" is "*.#"
    return ".".join(words)


def expression(pattern: str) -> str:
    """The regular expression, for Python and Postgres alike, that matches ``.`` and a routing key after it.

    Raises:
        InvalidInput: see :func:`normal`.
    """
    parts = (_MEANINGS.get(word) or r"\." + re.escape(word) for word in normal(pattern).split("."))
    return "^" + "".join(parts) + "$"
