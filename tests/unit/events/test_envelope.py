import hmac
import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.events.canonical import clean
from stratavore.events.envelope import LAST_WORD, EventRow, EventType, NewEvent, topic_word, verify
from stratavore.events.topics import LONGEST_KEY

KEY = bytes(range(32))
SESSION = "1a2b3c4d-0000-4000-8000-000000000001"
ROW = EventRow(
    id="0d4e8a3e-0000-4000-8000-000000000003",
    session_id=SESSION,
    sequence=7,
    key="1/ended",
    type="runner.failed",
    project="site",
    time=datetime(2026, 1, 31, 12, tzinfo=UTC),
    data={"exit_code": 1, "signals": ["TERM"], "lived_s": 0.25, "reason": None},
)
ALERT = replace(ROW, session_id=None, sequence=0, type="system.alert", project="", data={"severity": "error"})

PLAIN_DATA = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


# Written by hand: what a consumer in another language gets when it takes the signature out and canonicalises.
SIGNED_TEXT = (
    '{"data":{"exit_code":1,"lived_s":0.25,"reason":null,"signals":["TERM"]},"datacontenttype":"application/json",'
    '"id":"0d4e8a3e-0000-4000-8000-000000000003","project":"site","sequence":"0000000000000000007",'
    '"source":"/stratavore/sessions/1a2b3c4d-0000-4000-8000-000000000001","specversion":"1.0",'
    '"subject":"1a2b3c4d-0000-4000-8000-000000000001","time":"2026-01-31T12:00:00.000000Z","type":"runner.failed"}'
)


def test_the_envelope_of_an_event_of_a_session() -> None:
    assert ROW.signed(KEY).cloud_event() == {
        "specversion": "1.0",
        "id": ROW.id,
        "source": f"/stratavore/sessions/{SESSION}",
        "type": "runner.failed",
        "subject": SESSION,
        "time": "2026-01-31T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "project": "site",
        "sequence": "0000000000000000007",
        "signature": hmac.new(KEY, SIGNED_TEXT.encode(), "sha256").hexdigest(),
        "data": ROW.data,
    }


def test_an_event_about_the_system_has_no_session_order_or_project() -> None:
    envelope = ALERT.cloud_event()
    assert envelope["source"] == "/stratavore"
    assert {"subject", "sequence", "project"}.isdisjoint(envelope)


def test_the_time_is_the_same_in_any_zone() -> None:
    elsewhere = replace(ROW, time=ROW.time.astimezone(timezone(timedelta(hours=-7))))
    assert elsewhere.signed(KEY).cloud_event() == ROW.signed(KEY).cloud_event()


@given(sequences=st.lists(st.integers(1, 2**63 - 1), min_size=2, max_size=2))
def test_sequences_sort_as_text_does(sequences: list[int]) -> None:
    texts = [replace(ROW, sequence=one).cloud_event()["sequence"] for one in sequences]
    assert (texts[0] < texts[1]) is (sequences[0] < sequences[1])


LAST_WORDS = {
    "budget.warning": "daily%2Fmy%20site",
    "budget.exceeded": "daily%2Fmy%20site",
    "budget.approved": "daily%2Fmy%20site",
    "quota.reset": "daily%2Fmy%20site",
    "budget.reset": "daily%2Fmy%20site",
    "system.alert": "error",
    "system.god": "ann",
    "system.reconciled": "slot_unused",
}


@pytest.mark.parametrize("type_", EventType)
def test_a_routing_key_is_the_type_and_one_word(type_: EventType) -> None:
    data = {"scope": "daily/my site", "severity": "error", "user": "ann", "kind": "slot_unused"}
    event = replace(ROW, type=str(type_), project="my.site", data=data)
    last = LAST_WORDS.get(type_, "my%2Esite")
    assert event.routing_key == f"{type_}.{last}"
    assert event.routing_key.count(".") == 2


@given(text=st.text(min_size=1), other=st.text(min_size=1))
def test_topic_words_are_one_plain_word_and_tell_texts_apart(text: str, other: str) -> None:
    word = topic_word(text)
    assert word.isascii() and word.isprintable() and set(word).isdisjoint(".*# ")
    assert (word == topic_word(other)) is (text == other)


def test_names_that_are_plain_already_stay_as_they_are() -> None:
    assert topic_word("My_site-2") == "My_site-2"
    assert topic_word("é%") == "%C3%A9%25"


def test_the_longest_name_of_a_project_fits_into_a_key() -> None:
    key = replace(ROW, type="session.created", project="." * 64).routing_key
    assert len(key) <= LONGEST_KEY


@pytest.mark.parametrize("type_", EventType)
def test_an_event_without_its_last_word_is_not_made(type_: EventType) -> None:
    word = LAST_WORD.get(type_)
    NewEvent(SESSION, "key", type_, "" if word else "site", {word: "x"} if word else {})
    with pytest.raises(ValueError, match=f"has a {word or 'project'}"):
        NewEvent(SESSION, "key", type_, "site" if word else "", {})


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no_such"):
        NewEvent(SESSION, "key", "runner.no_such", "site", {})


@given(data=PLAIN_DATA)
def test_what_was_signed_is_verified_after_its_way(data: dict[str, Any]) -> None:
    signed = replace(ROW, data=clean(data)).signed(KEY)
    assert verify(json.loads(signed.body()), KEY)
    assert not verify(json.loads(signed.body()), KEY[::-1])


def test_a_consumer_may_spell_the_json_as_it_likes() -> None:
    envelope = ROW.signed(KEY).cloud_event()
    spelled = json.dumps(dict(reversed(envelope.items())), indent=2, ensure_ascii=True)
    assert verify(json.loads(spelled), KEY)


def changed(value: Any) -> Any:
    """The value with one thing different."""
    match value:
        case dict():
            name = min(value, default="")
            return value | {name: changed(value.get(name))}
        case list():
            return [*value, None]
        case bool() | None:
            return not value
        case int() | float():
            return str(value)
        case _:
            return f"{value}x"


@pytest.mark.parametrize("member", sorted(ROW.signed(KEY).cloud_event()))
def test_no_member_can_be_changed_removed_or_misspelled(member: str) -> None:
    envelope = json.loads(ROW.signed(KEY).body())
    assert not verify(envelope | {member: changed(envelope[member])}, KEY)
    assert not verify({name: value for name, value in envelope.items() if name != member}, KEY)


@given(data=PLAIN_DATA.filter(bool), choice=st.randoms(use_true_random=False))
def test_no_part_of_the_data_can_be_changed(data: dict[str, Any], choice: Any) -> None:
    envelope = json.loads(replace(ROW, data=clean(data)).signed(KEY).body())
    name = choice.choice(sorted(envelope["data"]))
    forged = deepcopy(envelope)
    forged["data"][name] = changed(forged["data"][name])
    assert not verify(forged, KEY)
    assert not verify(envelope | {"more": 1}, KEY)


@pytest.mark.parametrize(
    "envelope",
    [{}, {"signature": None}, {"signature": "é"}, {"signature": 1, "data": {}}, {"signature": "00", "x": float("nan")}],
)
def test_what_is_no_event_is_not_verified(envelope: dict[str, Any]) -> None:
    assert not verify(envelope, KEY)


def test_what_is_nested_without_end_is_not_verified() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert not verify({"signature": "00", "data": deep}, KEY)
