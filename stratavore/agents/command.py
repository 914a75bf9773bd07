"""Any program, known only by its words and by what it writes to its terminal."""

from collections.abc import Mapping
from typing import Any

from stratavore.agents.adapter import Adapter, Follower, Judgement, Observation, Plan, Start
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity

STARTING_SECONDS = 1.0
BUSY_SECONDS = 3.0
PROMPT = "prompt"


class _Output(Follower):
    """Busy while it writes; of a silent program nobody can tell more than that it is silent."""

    def judge(self, seen: Observation) -> Judgement:
        if seen.quiet_seconds is None:
            return Judgement(Activity.STARTING if seen.alive_seconds < STARTING_SECONDS else Activity.IDLE)
        return Judgement(Activity.BUSY if seen.quiet_seconds < BUSY_SECONDS else Activity.IDLE)


class Command(Adapter):
    """Runs the words that it is given, and the same words again to resume."""

    name = "command"

    def check(self, spec: LaunchSpec, environment: Mapping[str, str]) -> None:
        """Words to run must be given, and nothing that only agents understand."""
        for option, value in (
            ("a model", spec.model),
            ("a permission mode", spec.permission_mode),
            ("further directories", spec.directories),
            ("servers of the Model Context Protocol", spec.mcp_config),
        ):
            if value:
                raise InvalidInput(reason=f"The agent 'command' is any program, and knows nothing of {option}")
        if not spec.argv:
            raise InvalidInput(reason="The agent 'command' needs a program to run: give it after '--'")

    def plan(self, spec: LaunchSpec, start: Start) -> Plan:
        """The words as given, to resume too: what the program remembers is its own affair."""
        if spec.headless:
            return Plan(spec.argv, files={PROMPT: (spec.prompt or "").encode()}, stdin=PROMPT)
        return Plan(spec.argv)

    def follow(self, state: Mapping[str, Any]) -> Follower:
        """Of a program nothing is known but what it writes."""
        return _Output()
