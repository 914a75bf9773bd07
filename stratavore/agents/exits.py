"""What the end of a process means, whatever the program."""

import signal

from stratavore.models.states import ExitKind
from stratavore.runtime.rundir import ExitRecord, RunSpec

_NOT_FOUND = 127
_OF_SIGNALS = 128
_BY_KEYBOARD = {
    _OF_SIGNALS + signal.SIGINT: ("INT", "Ctrl-C"),
    _OF_SIGNALS + signal.SIGQUIT: ("QUIT", "Ctrl-\\"),
}


def classify_exit(record: ExitRecord | None, spec: RunSpec | None) -> tuple[ExitKind, str]:
    """How a runner ended, and why in one sentence: by exit code, signals that its wrapper saw, and whether we asked."""
    if record is None:
        return ExitKind.LOST, "its terminal or its machine went away"
    if record.refused:
        return ExitKind.REFUSED, _refusal(record, spec)
    if record.fenced:
        return ExitKind.FENCED, f"its host could not renew its lease for {record.fenced} s"
    if record.asked:
        return ExitKind.COMPLETED, "it was asked to end"
    # Everybody gets a SIGTERM when the machine shuts down, and a SIGHUP with it or with the terminals: who ends then,
    # however politely, chose nothing.
    if {"TERM", "HUP"} & set(record.signals):
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
