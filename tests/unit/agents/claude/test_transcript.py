"""Rows of transcripts: what the real program wrote is understood to the token, and nothing that is written harms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.agents.claude.transcript import read_entries, read_row
from stratavore.agents.conversation import NewsKind, Reply, Tokens
from tests.claude_code.corpus import Recorded, recorded

UNTOLD = {"compact"}
"""The program writes nothing down of the requests that a summary costs."""


def rows(one: Recorded) -> list[bytes]:
    return [line for path in one.transcripts for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("one", recorded(), ids=lambda one: f"{one.version}-{one.situation}")
def test_replies_are_those_that_the_api_sent(one: Recorded) -> None:
    found: dict[str, Reply] = {}
    for line in rows(one):
        row = read_row(line)
        assert row.known, row.kind
        if row.reply:
            known = found.get(row.reply.id)
            if known is None or row.reply.tokens.total >= known.tokens.total:
                found[row.reply.id] = row.reply
    sent = {
        call["message_id"]: call
        for call in one.api
        if call["finished"] and call["status"] == 200 and call["usage"] and call["kind"] in ("main", "agent")
    }
    if one.situation in UNTOLD:
        sent = {id_: call for id_, call in sent.items() if id_ in found}
        assert sent
    # An aborted reply is recorded too, as far as it was told when it began.
    assert sent.keys() <= found.keys()
    for id_, call in sent.items():
        usage = call["usage"]
        tokens = found[id_].tokens
        assert found[id_].model == call["model"]
        assert (tokens.input, tokens.output) == (usage["input_tokens"], usage["output_tokens"])
        assert tokens.cache_creation == usage["cache_creation_input_tokens"]
        assert tokens.cache_creation_1h == usage["cache_creation"]["ephemeral_1h_input_tokens"]
        assert tokens.cache_read == usage["cache_read_input_tokens"]


@pytest.mark.parametrize(
    ("situation", "kind"),
    [
        ("escape_late", NewsKind.INTERRUPTED),
        ("permission_denied", NewsKind.INTERRUPTED),
        ("limit_with_reset", NewsKind.LIMITED),
        ("limit_without_reset", NewsKind.LIMITED),
        ("overload", NewsKind.LIMITED),
    ],
)
def test_news_of_what_was_recorded(situation: str, kind: NewsKind) -> None:
    for one in recorded():
        if one.situation == situation:
            assert [row.news.kind for line in rows(one) if (row := read_row(line)).news] == [kind]


def test_people_and_agents_are_told_from_the_program() -> None:
    for one in recorded():
        for line in rows(one):
            if message := read_row(line).message:
                assert not message.text.startswith(("<command", "<local", "[Request", "<task-notification")), message


def row(**changes: Any) -> bytes:
    message = {
        "id": "msg_1",
        "model": "claude-opus-4-5",
        "role": "assistant",
        "content": [{"type": "text", "text": "yes"}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **changes.pop("message", {}),
    }
    given = {"type": "assistant", "uuid": "u", "timestamp": "2026-06-01T12:00:00.000Z", "message": message, **changes}
    return json.dumps(given).encode()


def reply(line: bytes) -> Reply:
    found = read_row(line).reply
    assert found is not None
    return found


def test_every_kind_of_token_is_counted() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    }
    assert reply(row(message={"usage": usage})).tokens == Tokens(1, 2, 30, 4, 10)
    assert reply(row(message={"usage": usage | {"speed": "fast"}})).terms == (("speed", "fast"),)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"requestId": "r"}, "msg_1"),
        ({"requestId": "r", "message": {"id": "1"}}, "1/r"),
        ({"message": {"id": "1"}}, "1"),
        ({"requestId": "r", "message": {"id": None}}, "r"),
        ({"message": {"id": 7}}, "u"),
    ],
)
def test_replies_are_told_apart(given: dict[str, Any], expected: str) -> None:
    assert reply(row(**given)).id == expected


WRONG: list[Any] = ["1", 1.5, True, -1, 10**30, []]
WITHOUT: list[Any] = [None, [], {}, {"input_tokens": 1}, {"tokens_in": 1}]


@pytest.mark.parametrize("usage", [*WITHOUT, *({"input_tokens": wrong, "output_tokens": 1} for wrong in WRONG)])
def test_a_reply_without_usage_that_is_understood_is_noticed(usage: Any) -> None:
    found = read_row(row(message={"usage": usage}))
    assert (found.known, found.reply, found.kind) == (False, None, "assistant without usage")
    assert found.message is not None, "what was said is kept all the same"


def test_what_the_program_says_itself_is_no_reply() -> None:
    found = read_row(row(message={"model": "<synthetic>"}))
    assert (found.known, found.reply, found.message, found.news) == (True, None, None, None)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"null", b"1" * 5000, b"\xff\xfe", b'{"type": 5}', b"{}", b"[" * 100_000, b'{"a":' * 50_000],
)
def test_a_line_that_is_no_row_is_not_known(line: bytes) -> None:
    assert read_row(line).known is False
    assert read_entries(line) == ()


def test_what_postgres_refuses_is_replaced() -> None:
    line = b'{"type":"user","uuid":"u","message":{"content":"a\\u0000b\\ud800c \xff"}}'
    message = read_row(line).message
    assert message is not None
    assert message.text == "a\ufffdb?c \ufffd"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("type", "uuid", "timestamp", "message", "isMeta", "requestId", "error", "isApiErrorMessage", "rowSource")
INNER = ("id", "model", "content", "usage", "role")


@given(
    st.sampled_from(["user", "assistant"]),
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
    st.dictionaries(st.sampled_from(INNER), VALUES),
    st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "cache_creation", "speed"]), VALUES),
)
def test_any_value_anywhere_costs_a_row_and_no_more(
    kind: str, outer: dict[str, Any], inner: dict[str, Any], usage: dict[str, Any]
) -> None:
    for changes in (outer, {"message": inner}, {"message": {"usage": usage}}):
        line = json.dumps({"type": kind, **json.loads(row()), **changes}).encode()
        found = read_row(line)
        for text in (found.kind, found.message.text if found.message else "", found.reply.id if found.reply else ""):
            text.encode()
            assert "\x00" not in text
        read_entries(line)


def test_entries_are_words_and_tools_in_their_order() -> None:
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "I look"},
        {"type": "tool_use", "name": "Bash", "input": {"command": "ls\n  -l", "description": "Look"}},
    ]
    found = [(entry.role, entry.text) for entry in read_entries(row(message={"content": content}))]
    assert found == [("assistant", "I look"), ("tool", "Bash ls -l")]
