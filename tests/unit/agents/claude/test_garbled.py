"""Whatever a hook, a screen or a transcript holds, and wherever it was cut: nothing of it raises."""

import json
import math
from datetime import UTC, datetime
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from stratavore.agents.adapter import Box, Observation
from stratavore.agents.claude.adapter import Claude
from stratavore.agents.claude.hooks import read_hook
from stratavore.agents.claude.screen import read_screen
from tests.claude_code.corpus import recorded

AGENT = Claude()
SEEN = (Observation(0.0, None), Observation(100.0, 0.1), Observation(1e6, 1e6))


@cache
def lines() -> list[bytes]:
    """Hooks of the record."""
    return [line for one in recorded() for _, line in one.hooks]


@cache
def screens() -> list[str]:
    """Screens of the record."""
    return [text for one in recorded() for text in (seen.text for seen in one.screens)]


def hear(*told: bytes) -> None:
    follower = AGENT.follow({})
    for line in told:
        follower.hook(line)
        AGENT.prompt_taken(line)
        for seen in SEEN:
            follower.judge(seen)
        json.dumps(follower.state(), allow_nan=False).encode()
    AGENT.follow(follower.state())


@st.composite
def garbled(draw: st.DrawFn) -> bytes:
    """A line that was cut, torn into another one, or overwritten somewhere."""
    line, other = draw(st.sampled_from(lines())), draw(st.sampled_from(lines()))
    cut, rest = draw(st.integers(0, len(line))), draw(st.integers(0, len(other)))
    piece = draw(
        st.binary(max_size=8)
        | st.sampled_from([b"\\u0000", b"\\ud83d", b"\xff", b"nan", b"1e999", b"null", b"[" * 300])
    )
    return line[:cut] + piece + (other[rest:] if draw(st.booleans()) else line[cut + len(piece) :])


@given(st.lists(garbled(), max_size=4))
def test_hooks_cut_or_torn_anywhere(told: list[bytes]) -> None:
    hear(*told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = (
    *("session_id", "transcript_path", "source", "prompt", "tool_name", "tool_input", "background_tasks"),
    *("notification_type", "trigger", "error", "last_assistant_message", "agent_id"),
)
NAMES = sorted({hook.name for line in lines() if (hook := read_hook(line))})


@given(
    st.sampled_from(NAMES),
    st.dictionaries(
        st.sampled_from(KEYS),
        JSON | st.sampled_from(["AskUserQuestion", "ExitPlanMode", "clear", "manual", "idle_prompt"]),
    ),
    st.floats(),
)
def test_hooks_whose_values_are_of_another_kind(name: str, given_: dict[str, object], at: float) -> None:
    hear(f"{at} {json.dumps({**given_, 'hook_event_name': name})}".encode())


@given(st.floats())
def test_a_hook_has_a_time_or_is_none(at: float) -> None:
    hook = read_hook(f'{at} {{"hook_event_name": "Stop"}}'.encode())
    assert hook is None or (math.isfinite(hook.at) and datetime.fromtimestamp(hook.at, UTC))


def test_texts_are_such_as_can_be_kept() -> None:
    hook = read_hook(b'1 {"hook_event_name": "Stop", "x": "a\\u0000b", "y": ["\\ud83d", {"z": "\\ud83d\\ude00"}]}')
    assert hook and hook.given == {"hook_event_name": "Stop", "x": "a\ufffdb", "y": ["?", {"z": "\U0001f600"}]}


@st.composite
def drawn(draw: st.DrawFn) -> str:
    """A screen of the record of which lines are missing, doubled, or written over."""
    rows = draw(st.sampled_from(screens())).splitlines()
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(rows)))
        rows[at : at + draw(st.integers(0, 3))] = draw(
            st.lists(st.sampled_from(rows or [""]) | st.text(max_size=20), max_size=2)
        )
    return "\n".join(rows)


@given(drawn() | st.text(st.sampled_from("\u276f>!\u2500 \u00a01.2\nEsc to cancel"), max_size=300))
def test_screens_of_any_kind(text: str) -> None:
    read_screen(text)
    box = AGENT.box(text)
    AGENT.keys_to_clear(box)
    if box.question:
        for answer in ("1", "yes", "no", "", "something else"):
            AGENT.answer(box.question, answer)
    follower = AGENT.follow({})
    follower.screen(text, 100.0)
    assert isinstance(box, Box) and follower.judge(SEEN[1])
