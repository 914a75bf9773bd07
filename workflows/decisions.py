"""What follows from the end of a runner: a pure function of the exit and what the workflow knows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

from stratavore.models.session import Hold, Operator, Policy, Wish
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from stratavore.models.steps import RunnerExit
from stratavore.naming import session_of, short


@dataclass(frozen=True)
class Relaunch:
    """Launch the next runner after a while; the session keeps its slot."""

    after: timedelta
    crashes: int
    """In a row, with this one."""
    reason: str
    status: RunnerStatus = RunnerStatus.FAILED
    """Of the runner that ended."""


@dataclass(frozen=True)
class PutAway:
    """No process, no slot, until somebody resumes the session. ``parked``: the system decided it, not a person."""

    parked: bool
    reason: str | None


@dataclass(frozen=True)
class Withhold:
    """No process and no slot until a limit lets the session go on."""

    hold: Hold

    @property
    def reason(self) -> str:
        """Why."""
        return self.hold.reason


@dataclass(frozen=True)
class End:
    """The session is over."""

    reason: str
    status: RunnerStatus


Decision = Relaunch | PutAway | Withhold | End
_OF_SIGNALS = 128
_KILLED = _OF_SIGNALS + 9
_JITTER = 1 / 3
"""So much of a wait is left to chance: sessions that died together do not all come back together."""
_LONGEST_WORDS = 120


def decide(
    end: RunnerExit,
    *,
    wish: Wish,
    stopped: bool,
    launches: int,
    crashes: int,
    policy: Policy,
    headless: bool = False,
    ended_by: Operator | None = None,
    hold: Hold | None = None,
    kills_park: Callable[[], bool] = lambda: False,
) -> Decision:
    """Decide what a session does when its runner has ended.

    Args:
        end: How the runner ended.
        wish: What people want the session to be now.
        stopped: Whether this workflow had the runner stopped, so that its exit says nothing about the agent.
        launches: Runners launched so far, this one included.
        crashes: Crashes in a row before this one.
        policy: The session's policy of recovery.
        headless: Whether the agent answers one prompt and ends: then its exit code is a result, as a script's is.
        ended_by: Who wished the end without being asked whether it is meant.
        hold: The limit over which this workflow had the runner stopped.
        kills_park: Whether SIGKILL counts as the agent's own crash; asked only where that decides something.
    """
    if wish is Wish.TERMINATE:
        return ended_on_request(ended_by)
    if wish is Wish.PAUSE:
        return PutAway(parked=False, reason=None)
    if end.hold:
        return withheld(end.hold)
    if hold and (stopped or end.kind not in (ExitKind.COMPLETED, ExitKind.REFUSED)):
        return withheld(hold)
    if stopped:  # restarted; or paused, and resumed before the process had ended
        return Relaunch(timedelta(0), 0, "started anew on request", RunnerStatus.TERMINATED)
    match end.kind:
        case ExitKind.COMPLETED:
            return End(end.reason, RunnerStatus.TERMINATED)
        case ExitKind.FENCED:
            return Relaunch(timedelta(0), crashes, end.reason)
        case ExitKind.REFUSED if launches <= 1:
            return End(end.reason, RunnerStatus.FAILED)
        case ExitKind.REFUSED:
            return PutAway(parked=True, reason=end.reason)
        case ExitKind.CRASHED if headless and not _killed(end):
            return End(end.reason, RunnerStatus.FAILED)
        case ExitKind.CRASHED | ExitKind.LOST:
            from_outside = end.kind is ExitKind.LOST or end.code == _KILLED
            if from_outside and end.lived >= policy.settled_after:
                return Relaunch(timedelta(0), 0 if end.lived >= policy.stable_after else crashes, end.reason)
            in_a_row = 1 if end.lived >= policy.stable_after else crashes + 1
            spins = in_a_row >= policy.crashes_before_park and end.kind is ExitKind.CRASHED
            if spins and (not from_outside or kills_park()):
                return PutAway(parked=True, reason=_crash_loop(end, in_a_row))
            after = _backoff(end.runner_id, in_a_row, policy)
            wait = f"; the next try is {after.total_seconds():.1f} s later" if after else ""
            return Relaunch(after, in_a_row, end.reason + wait)


def _crash_loop(end: RunnerExit, times: int) -> str:
    """Why it is parked and the way out, in one sentence."""
    lines = end.last_lines.splitlines()
    words = f"; its last words: {_cut(lines[-1])}" if lines else ""
    way_out = f"try again with: stratavore resume {short(session_of(end.runner_id))}"
    return f"{end.reason}, the last of {times} deaths in a row; {way_out}{words}"


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"


def withheld(hold: Hold) -> Decision:
    """What a limit makes of a session."""
    match hold.state:
        case SessionState.ENDED:
            return End(hold.reason, RunnerStatus.TERMINATED)
        case SessionState.PAUSED:
            return PutAway(parked=False, reason=hold.reason)
        case _:
            return Withhold(hold)


def ended_on_request(by: Operator | None) -> End:
    """What people wished; one of them is named who was not asked whether it is meant."""
    return End("ended on request" + (f" of {by}, with --god" if by else ""), RunnerStatus.TERMINATED)


def _killed(end: RunnerExit) -> bool:
    """Whether a signal ended it, by the exit code that a shell gives for one."""
    return end.code is None or end.code > _OF_SIGNALS


def _backoff(runner_id: str, crashes: int, policy: Policy) -> timedelta:
    """At once the first time, then about doubling from ``first_backoff`` up to ``longest_backoff``.

    The chance in it comes from the runner's id: each runner has its own, and a replayed history the same again.
    """
    if crashes <= 1:
        return timedelta(0)
    # The exponent is bounded: 2**1000 seconds is no timedelta.
    doublings: int = 2 ** min(crashes - 2, 20)
    chance = crc32(runner_id.encode()) / 2**32
    return min(policy.first_backoff * doublings, policy.longest_backoff) * (1 - _JITTER * chance)


def state_after(decision: Decision) -> SessionState:
    """The session's state once the decision is recorded."""
    match decision:
        case Relaunch():
            return SessionState.RECOVERING
        case PutAway(parked=True):
            return SessionState.PARKED
        case PutAway():
            return SessionState.PAUSED
        case Withhold(hold=hold):
            return hold.state
        case End():
            return SessionState.ENDED


def status_after(decision: Decision) -> RunnerStatus:
    """What the runner that ended is from now on."""
    match decision:
        case PutAway(parked=False) | Withhold():
            return RunnerStatus.PAUSED
        case Relaunch(status=status) | End(status=status):
            return status
        case PutAway():
            return RunnerStatus.FAILED
