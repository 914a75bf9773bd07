"""What Claude Code is doing, by its hooks, its transcript and its screen together.

None of the three tells all: the trust dialog and an Escape fire no hook, an early Escape leaves no row either, and a
screen says nothing of who was asked what. Each thing heard has a time; the newest that decides something counts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Self

from pydantic import BaseModel

from stratavore.agents.adapter import Follower, Judgement, Limit, Observation
from stratavore.agents.claude.hooks import Hook, read_hook
from stratavore.agents.claude.limits import reset_told, told_of_limit
from stratavore.agents.claude.questions import asked_by
from stratavore.agents.claude.screen import Shows, read_screen
from stratavore.agents.conversation import NewsKind, Row
from stratavore.models.states import Activity

DRAWING_SECONDS = 0.7
"""From a hook until the screen shows what it told: until then a screen is of the past."""
EMPTY_SECONDS = 3.0
"""The same for a box that is empty, which alone is weak evidence that it stopped working."""
UNDRAWN_SECONDS = 20.0
"""The same for any box, while nothing was drawn since: who stops says so there, and who is starved draws nothing."""
START_SECONDS = 20.0
"""Who shows neither box nor hook for so long, and is silent, waits for a person."""
BEGUN_SECONDS = 3.0
"""Who said that it has begun, and draws nothing more for so long, shows its prompt, even if nobody sees it."""
UNKNOWN_SECONDS = 60.0
"""Who is busy, and of whom nothing is seen for so long, is not known to be busy."""
AGENTS_SECONDS = 900.0
"""The same, while agents that it started itself work: they may be silent for long."""

SAME_SECONDS = 10.0
"""Within them a hook and a row tell of the same limit."""
CLOCK_SECONDS = 0.5
"""How much earlier than its hook a prompt's row may say that it was written."""
_NO_PERSON = "<task-notification>"
"""Begins prompts that it gives itself."""

_AHEAD_SECONDS = 20.0
"""What is later than now by more than a screen takes to be shown, is of a clock that was set back since."""

_LOOK_AT_ONCE, _LOOK, _LOOK_ANYWAY = 0.2, 1.0, 10.0
_STILL = 0.25
"""Its spinner turns more often than this: a screen that stands still shows something else."""


class KnownLimit(BaseModel):
    """A limit that it was told of. Times are Unix time."""

    at: float
    until: float | None = None
    text: str = ""


class Known(BaseModel):
    """What a follower knows, as it is kept for the next one. Times are Unix time."""

    activity: Activity = Activity.STARTING
    since: float = 0.0
    """When the newest thing happened that says so."""
    question: str | None = None
    seen: bool = False
    """The question was seen on its screen."""
    reply: str | None = None
    prompted_at: float | None = None
    prompt_id: str | None = None
    unheard: str | None = None
    """The last prompt, while nothing of it stands in the transcript: a death now would lose it."""
    waits: bool = False
    """It was given while a turn was under way, of which rows may still come. Only its own words say that it stands
    there: a kill loses what waits for a turn."""
    limit: KnownLimit | None = None
    """Over which the last turn has ended. Resumed, it goes on with that by itself."""
    turn_ended_at: float | None = None
    turn_failed: bool = False
    turn: bool = False
    """A turn is under way."""
    queued: bool = False
    """Another prompt waits for the end of this turn, or is taken into it: nothing tells which."""
    between: bool = False
    """A turn has ended that another one may follow at once."""
    begun: bool = False
    """It said so; its prompt shows a moment later."""
    drawn: bool = False
    """It is busy by its screen alone, after a turn has ended: on a busy machine that may be drawn late."""
    agents: bool = False
    """Agents that it started work on, though its own turn is over."""
    agent_session_id: str | None = None
    transcript: str | None = None


class ClaudeFollower(Follower):
    """Hears hooks, rows and screens of one runner."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._looked_at = 0.0
        self._drawn_at = inf

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """A follower that goes on from what another one knew."""
        return cls(Known.model_validate(state))

    def state(self) -> dict[str, Any]:
        """What is known."""
        return self._known.model_dump(mode="json")

    # What it hears

    def hook(self, line: bytes) -> None:
        """A line as ``hook.sh`` writes it. One that is cut off is read as far as it goes."""
        hook = read_hook(line)
        if hook is None:
            return
        known = self._known
        if hook.name != "SessionEnd" and "agent_id" not in hook.given:
            known.agent_session_id = hook.text("session_id") or known.agent_session_id
            known.transcript = hook.text("transcript_path") or known.transcript
        match hook.name:
            case "SessionStart" if hook.text("source") == "clear":
                self._is(Activity.IDLE, hook.at)
            case "SessionStart":
                known.begun = True
            case "UserPromptSubmit":
                known.queued, known.turn = known.turn, True
                known.prompted_at = hook.at
                known.prompt_id = hook.text("prompt_id")
                prompt = hook.text("prompt") or ""
                if not prompt.startswith(_NO_PERSON):
                    known.unheard, known.waits = prompt, known.queued
                elif not known.waits:
                    known.unheard = None
                known.limit = None
                self._is(Activity.BUSY, hook.at)
            case "PreCompact":
                self._is(Activity.BUSY, hook.at)
            case "PreToolUse" if asked := asked_by(hook):
                self._is(Activity.WAITING, hook.at, asked)
            case "PermissionRequest":
                self._is(Activity.WAITING, hook.at, asked_by(hook) or _permission(hook))
            case "PreToolUse" | "PostToolUse" | "PostToolUseFailure" | "SubagentStart":
                if known.activity is not Activity.WAITING or "agent_id" not in hook.given:
                    known.between = False
                    self._is(Activity.BUSY, hook.at)
            case "PostCompact" if hook.text("trigger") == "manual":
                self._is(Activity.IDLE, hook.at)
            case "Stop":
                self._turn_ends(hook)
            case "StopFailure":
                known.agents = False
                text = hook.text("last_assistant_message") or ""
                if told_of_limit(hook.text("error") or "", text):
                    self._limited(hook.at, reset_told(text, datetime.fromtimestamp(hook.at, UTC)), text)
                self._ends(hook.at, text or hook.text("error"))
                known.turn_failed = True
            case "Notification" if hook.text("notification_type") == "idle_prompt":
                self._is(Activity.IDLE, hook.at)

    def row(self, row: Row) -> None:
        """A row of its transcript: a late Escape is told by nothing else."""
        known = self._known
        if self._hears(row):
            known.unheard, known.waits = None, False
        if row.news and row.news.kind is NewsKind.LIMITED:
            if self._is_of_now(row.news.at):
                self._limited(row.news.at.timestamp(), row.news.until, row.news.text)
        elif row.news and row.news.kind is NewsKind.INTERRUPTED and row.news.at.timestamp() >= self._known.since:
            self._ends(row.news.at.timestamp(), None)

    def screen(self, text: str, at: float) -> None:
        """Its screen: decides what nothing else tells, once whatever was told before had the time to show."""
        self._keep_clock(at)
        known, screen = self._known, read_screen(text)
        # A question that was never seen is still to be drawn, however slow the machine.
        drawing = EMPTY_SECONDS if known.activity is Activity.WAITING and not known.seen else DRAWING_SECONDS
        told_just_now = at < known.since + drawing and known.activity is not Activity.STARTING
        if screen.shows in (Shows.WORK, Shows.BOX) and told_just_now:
            return  # and look again
        self._looked_at = at
        match screen.shows:
            case Shows.QUESTION:
                assert screen.question is not None
                kept = known.question if known.activity is Activity.WAITING else None
                self._is(Activity.WAITING, at, kept or screen.question.text)
                known.seen = True
            case Shows.WORK:
                drawn = known.drawn or (known.activity is Activity.IDLE and known.turn_ended_at is not None)
                self._is(Activity.BUSY, at)
                known.drawn = drawn
            case Shows.BOX if known.activity is Activity.BUSY:
                # An early Escape puts the prompt back. On a busy machine an empty box is shown for a moment as well,
                # and the prompt as it was typed until something is drawn.
                weak = 0.0 if screen.typed else EMPTY_SECONDS
                if at < known.since + (weak if self._drawn_at >= known.since else UNDRAWN_SECONDS):
                    self._looked_at = 0.0
                elif known.drawn:
                    self._is(Activity.IDLE, at)
                elif not known.agents:
                    self._ends(at, known.reply if known.between else None)
            case Shows.BOX if known.activity is not Activity.IDLE:
                self._is(Activity.IDLE, at)

    def answered(self, at: float) -> None:
        """It goes on with what it asked about; what it asks next it will tell."""
        if self._known.activity is Activity.WAITING:
            self._is(Activity.BUSY, at)

    # What it thinks of it

    def limit(self) -> Limit | None:
        """The one over which its last turn has ended."""
        limit = self._known.limit
        if limit is None:
            return None
        return Limit(datetime.fromtimestamp(limit.at, UTC), _time(limit.until), limit.text)

    def wants_screen(self, seen: Observation, now: float) -> bool:
        """When something was drawn since the last look: at once where a change is awaited, else now and then."""
        self._keep_clock(now)
        age = now - self._looked_at
        activity = self._known.activity
        if seen.quiet_seconds is not None:
            self._drawn_at = now - seen.quiet_seconds
        drawn = seen.quiet_seconds is not None and self._drawn_at >= self._looked_at
        if not drawn:
            return activity is not Activity.IDLE and age >= _LOOK_ANYWAY
        if activity is Activity.BUSY:
            assert seen.quiet_seconds is not None
            return age >= (_LOOK_AT_ONCE if seen.quiet_seconds >= _STILL else _LOOK)
        return age >= (_LOOK if activity is Activity.IDLE else _LOOK_AT_ONCE)

    def judge(self, seen: Observation) -> Judgement:
        """By the newest of what was heard; silence is no proof of work."""
        known = self._known
        activity, question = known.activity, known.question
        quiet = seen.alive_seconds if seen.quiet_seconds is None else seen.quiet_seconds
        if activity is Activity.BUSY and quiet >= (AGENTS_SECONDS if known.agents else UNKNOWN_SECONDS):
            activity = Activity.UNKNOWN
        if activity is Activity.STARTING and known.begun and quiet >= BEGUN_SECONDS:
            activity = Activity.IDLE
        if activity is Activity.STARTING and min(quiet, seen.alive_seconds) >= START_SECONDS:
            activity, question = Activity.WAITING, "It does not start; look at its terminal"
        return Judgement(
            activity,
            question,
            known.reply,
            _time(known.prompted_at),
            _time(known.turn_ended_at),
            known.turn_failed,
            known.agent_session_id,
            known.transcript,
        )

    def _keep_clock(self, now: float) -> None:
        """Take times of a clock that was set back since for now: else nothing would count until they have come."""
        known, latest = self._known, now + _AHEAD_SECONDS
        if self._looked_at > latest:
            self._looked_at = 0.0
        if known.since > latest:
            known.since = now
        if known.prompted_at is not None and known.prompted_at > latest:
            known.prompted_at = now

    def _is_of_now(self, at: datetime) -> bool:
        """Whether something was written after the last prompt was taken."""
        return at.timestamp() >= (self._known.prompted_at or 0) - CLOCK_SECONDS

    def _hears(self, row: Row) -> bool:
        """Whether something of the last prompt stands in the transcript with this row."""
        known = self._known
        if known.waits:
            said = row.taken or (row.message.text if row.message and row.message.role == "user" else None)
            return said is not None and said.split() == (known.unheard or "").split()
        return row.message is not None and (self._is_of_now(row.message.at) or self._is_unheard(row))

    def _is_unheard(self, row: Row) -> bool:
        """Whether it is the last prompt itself: its hook, which begins as a program, can be seconds behind.

        Neither the id nor the words tell alone: one that waits has the id of the turn before, and words come again.
        """
        known = self._known
        return (
            row.message is not None
            and row.prompt_id is not None
            and row.prompt_id == known.prompt_id
            and row.message.text == (known.unheard or "").strip()
        )

    def _is(self, activity: Activity, at: float, question: str | None = None) -> None:
        self._known.activity = activity
        self._known.since = max(at, self._known.since)
        self._known.question = question
        self._known.seen = self._known.drawn = False

    def _limited(self, at: float, until: datetime | None, text: str) -> None:
        """Hook and row tell the same limit; the row knows better until when."""
        known = self._known
        ends = [until.timestamp()] if until else []
        before = known.limit
        if before and abs(before.at - at) < SAME_SECONDS:
            at = min(at, before.at)
            ends += [before.until] if before.until else []
        # What is said is cut to minutes and rounded up.
        known.limit = KnownLimit(at=at, until=min(ends, default=None), text=text)

    def _turn_ends(self, hook: Hook) -> None:
        """Its own turn is over. Agents that it left working will wake it."""
        self._known.limit = None
        tasks = hook.given.get("background_tasks")
        self._known.agents = any(
            isinstance(task, dict) and task.get("status") == "running" and task.get("type") != "shell"
            for task in (tasks if isinstance(tasks, list) else ())
        )
        self._known.turn = (
            self._known.queued
        )  # the ids of prompts do not tell: one that waits has that of the turn before
        if self._known.agents or self._known.queued:
            self._known.between, self._known.queued = self._known.queued, False
            self._known.reply = hook.text("last_assistant_message")
            self._is(Activity.BUSY, hook.at)
        else:
            self._ends(hook.at, hook.text("last_assistant_message"))

    def _ends(self, at: float, reply: str | None) -> None:
        self._known.unheard, self._known.waits = None, False
        self._known.turn = self._known.queued = self._known.between = False
        self._known.reply, self._known.turn_ended_at, self._known.turn_failed = reply, at, False
        self._is(Activity.IDLE, at)


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _permission(hook: Hook) -> str:
    """What it wants to be allowed, in one line."""
    given = hook.given.get("tool_input")
    given = given if isinstance(given, dict) else {}
    detail = next((v for key in ("command", "file_path", "url", "plan") if isinstance(v := given.get(key), str)), "")
    return f"May it use {hook.text('tool_name') or 'a tool'}?" + (f" {detail}" if detail else "")
