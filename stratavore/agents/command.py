"""Any program, known only by its words and by what it writes to its terminal."""

import signal
from collections.abc import Sequence

from stratavore.agents.adapter import Adapter, Observation
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity, ExitKind
from stratavore.runtime.rundir import ExitRecord, RunSpec

STARTING_SECONDS = 1.0
BUSY_SECONDS = 3.0
_NOT_FOUND = 127
_OF_SIGNALS = 128
_BY_KEYBOARD = {
    _OF_SIGNALS + signal.SIGINT: ("INT", "Ctrl-C"),
    _OF_SIGNALS + signal.SIGQUIT: ("QUIT", "Ctrl-\\"),
}


class Command(Adapter):
    """Runs the words that it is given, and the same words again to resume."""

    name = "command"

    def check(self, spec: LaunchSpec) -> None:
        """Words to run must be given."""
        if not spec.argv:
            raise InvalidInput(reason="The agent 'command' needs a program to run: give it after '--'")

    def start_argv(self, spec: LaunchSpec) -> Sequence[str]:
        """The words as given."""
        return spec.argv

    def resume_argv(self, spec: LaunchSpec) -> Sequence[str]:
        """The words as given: what the program remembers is its own affair."""
        return spec.argv

    def activity(self, seen: Observation) -> Activity:
        """Busy while it writes; of a silent program nobody can tell more than that it is silent."""
        if seen.quiet_seconds is None:
            return Activity.STARTING if seen.alive_seconds < STARTING_SECONDS else Activity.IDLE
        return Activity.BUSY if seen.quiet_seconds < BUSY_SECONDS else Activity.IDLE

    def classify_exit(self, record: ExitRecord | None, spec: RunSpec | None) -> tuple[ExitKind, str]:
        """By exit code, the signals that the wrapper saw, and whether it was asked to end."""
        if record is None:
            return ExitKind.LOST, "its terminal or its machine went away"
        if record.refused:
            return ExitKind.REFUSED, _refusal(record, spec)
        if record.asked:
            return ExitKind.COMPLETED, "it was asked to end"
        # Everybody gets a SIGTERM when the machine shuts down: who ends then, however politely, chose
        # nothing.
        if "TERM" in record.signals:
            return ExitKind.LOST, "it was told to end from outside, as by the machine's shutdown"
        if record.code == 0:
            return ExitKind.COMPLETED, "it ended by itself"
        seen, keys = _BY_KEYBOARD.get(record.code, ("", ""))
        if seen in record.signals:
            return ExitKind.COMPLETED, f"it was ended by {keys}"
        return ExitKind.CRASHED, f"it ended with {_describe(record.code)}"


def _refusal(record: ExitRecord, spec: RunSpec | None) -> str:
    program = f"'{spec.argv[0]}'" if spec else "its program"
    if record.code == _NOT_FOUND:
        return f"{program} was not found"
    return f"{program} could not be executed, or its directory not entered"


def _describe(code: int) -> str:
    if code > _OF_SIGNALS:
        try:
            return f"exit code {code} ({signal.Signals(code - _OF_SIGNALS).name})"
        except ValueError:
            pass
    return f"exit code {code}"
