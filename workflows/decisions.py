"""What follows from the end of a runner: a pure function of the exit and what the workflow knows."""

from dataclasses import dataclass
from datetime import timedelta

from stratavore.models.session import Operator, Policy, Wish
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from stratavore.models.steps import RunnerExit


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
class End:
    """The session is over."""

    reason: str
    status: RunnerStatus


Decision = Relaunch | PutAway | End
_OF_SIGNALS = 128


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
    """
    if wish is Wish.TERMINATE:
        return ended_on_request(ended_by)
    if wish is Wish.PAUSE:
        return PutAway(parked=False, reason=None)
    if stopped:  # restarted; or paused, and resumed before the process had ended
        return Relaunch(timedelta(0), 0, "started anew on request", RunnerStatus.TERMINATED)
    match end.kind:
        case ExitKind.COMPLETED:
            return End(end.reason, RunnerStatus.TERMINATED)
        case ExitKind.REFUSED if launches <= 1:
            return End(end.reason, RunnerStatus.FAILED)
        case ExitKind.REFUSED:
            return PutAway(parked=True, reason=end.reason)
        case ExitKind.CRASHED if headless and not _killed(end):
            return End(end.reason, RunnerStatus.FAILED)
        case ExitKind.CRASHED | ExitKind.LOST:
            in_a_row = 1 if end.lived >= policy.stable_after else crashes + 1
            if end.kind is ExitKind.CRASHED and in_a_row >= policy.crashes_before_park:
                return PutAway(parked=True, reason=f"{end.reason}; it crashed {in_a_row} times in a row")
            return Relaunch(_backoff(in_a_row, policy), in_a_row, end.reason)


def ended_on_request(by: Operator | None) -> End:
    """What people wished; one of them is named who was not asked whether it is meant."""
    return End("ended on request" + (f" of {by}, with --god" if by else ""), RunnerStatus.TERMINATED)


def _killed(end: RunnerExit) -> bool:
    """Whether a signal ended it, by the exit code that a shell gives for one."""
    return end.code is None or end.code > _OF_SIGNALS


def _backoff(crashes: int, policy: Policy) -> timedelta:
    """At once the first time, then doubling from ``first_backoff`` up to ``longest_backoff``."""
    if crashes <= 1:
        return timedelta(0)
    # The exponent is bounded: 2**1000 seconds is no timedelta.
    doublings: int = 2 ** min(crashes - 2, 20)
    return min(policy.first_backoff * doublings, policy.longest_backoff)


def state_after(decision: Decision) -> SessionState:
    """The session's state once the decision is recorded."""
    match decision:
        case Relaunch():
            return SessionState.RECOVERING
        case PutAway(parked=True):
            return SessionState.PARKED
        case PutAway():
            return SessionState.PAUSED
        case End():
            return SessionState.ENDED


def status_after(decision: Decision) -> RunnerStatus:
    """What the runner that ended is from now on."""
    match decision:
        case PutAway(parked=False):
            return RunnerStatus.PAUSED
        case Relaunch(status=status) | End(status=status):
            return status
        case PutAway():
            return RunnerStatus.FAILED
