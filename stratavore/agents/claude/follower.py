"""What Claude Code is doing, by its hooks, its transcript and its screen together."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel
from pydantic_core import from_json

from stratavore.agents.adapter import Follower, Judgement, Observation
from stratavore.models.states import Activity


class Known(BaseModel):
    """What a follower knows, as it is kept for the next one."""

    activity: Activity = Activity.STARTING
    since: float = 0.0
    """Unix time of what made it so."""
    agent_session_id: str | None = None
    transcript: str | None = None


class ClaudeFollower(Follower):
    """Hears hooks, rows and screens of one runner."""

    def __init__(self, known: Known) -> None:
        self._known = known

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """A follower that goes on from what another one knew."""
        return cls(Known.model_validate(state))

    def hook(self, line: bytes) -> None:
        """A line as ``hook.sh`` writes it. One that is cut off is read as far as it goes."""
        _, _, body = line.partition(b" ")
        given = from_json(body, allow_partial=True)
        self._known.agent_session_id = given.get("session_id") or self._known.agent_session_id
        self._known.transcript = given.get("transcript_path") or self._known.transcript

    def judge(self, seen: Observation) -> Judgement:
        """By the newest of what was heard."""
        known = self._known
        return Judgement(known.activity, agent_session_id=known.agent_session_id, transcript=known.transcript)

    def state(self) -> dict[str, Any]:
        """What is known."""
        return self._known.model_dump(mode="json")
