"""Any program, known only by its words and by what it writes to its terminal."""

from collections.abc import Mapping
from typing import Any

from stratavore.agents.adapter import Adapter, Follower, Judgement, Observation, Plan, Start
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity

STARTING_SECONDS = 1.0
BUSY_SECONDS = 3.0


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
        """Words to run must be given."""
        if not spec.argv:
            raise InvalidInput(reason="The agent 'command' needs a program to run: give it after '--'")

    def plan(self, spec: LaunchSpec, start: Start) -> Plan:
        """The words as given, to resume too: what the program remembers is its own affair."""
        return Plan(spec.argv)

    def follow(self, state: Mapping[str, Any]) -> Follower:
        """Of a program nothing is known but what it writes."""
        return _Output()
