"""The words for what sessions and runners are doing."""

from enum import StrEnum


class SessionState(StrEnum):
    """What a session is; ``running`` means that its process lives and is supervised.

    ``unreachable`` is never stored: it is what a session with a runner is while that runner's host is away.
    """

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    PAUSED = "paused"
    LIMITED = "limited"
    ASKING = "asking"
    PARKED = "parked"
    UNREACHABLE = "unreachable"
    ENDED = "ended"


LIVE_STATES = frozenset(SessionState) - {SessionState.ENDED}
"""States of sessions whose workflow is open."""

ACTIVE_STATES = frozenset(
    {SessionState.STARTING, SessionState.RUNNING, SessionState.RECOVERING, SessionState.UNREACHABLE}
)
"""States of sessions that have, or are about to have, a process."""

RESTING_STATES = frozenset({SessionState.PAUSED, SessionState.PARKED})
"""States of sessions that are put away, until somebody resumes them."""

HELD_STATES = frozenset({SessionState.LIMITED, SessionState.ASKING})
"""States of sessions that a limit holds: they go on by themselves once it lets them."""

PUT_AWAY_STATES = RESTING_STATES | HELD_STATES
"""States of sessions that live, without a process, a slot or a place in the line."""

RESUMABLE_STATES = RESTING_STATES | {SessionState.ENDED}
"""States of sessions that nothing runs for, and that take no slot."""


SLOTLESS_STATES = PUT_AWAY_STATES | {SessionState.ENDED}
"""States of sessions that hold neither a slot nor a place in the line."""


class Activity(StrEnum):
    """What an agent is doing, beside its session's state. ``waiting``: it asks a person something."""

    STARTING = "starting"
    BUSY = "busy"
    WAITING = "waiting"
    IDLE = "idle"
    UNKNOWN = "unknown"


class RunnerStatus(StrEnum):
    """What a runner is, for metrics and the command line. ``paused``: the last runner of a paused session."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    TERMINATED = "terminated"
    FAILED = "failed"


class Failover(StrEnum):
    """What becomes of a session whose host is lost."""

    WAIT = "wait"
    """It waits for it. Its agent, if it lives, goes on."""
    AUTO = "auto"
    """It goes on on another host; its agent ends where it was before that, by the host's own clock."""


class ExitKind(StrEnum):
    """How a runner ended, as its host and its agent's adapter judge it."""

    COMPLETED = "completed"
    """By itself: exit code 0, or a person ended it at its keyboard."""
    CRASHED = "crashed"
    """With an error of its own, or by a signal that nobody here sent."""
    LOST = "lost"
    """Taken along by something else: tmux, the machine's shutdown, a reboot."""
    FENCED = "fenced"
    """Its host was lost, and the session goes on elsewhere: by its own choice, or by a person's who gave the host up.

    Says nothing of the agent. What it wrote there is counted when the host is back.
    """
    REFUSED = "refused"
    """Never started: program or directory is not there, or may not be used."""


class Overlap(StrEnum):
    """What happens when it is time and the last session of a schedule has not ended."""

    SKIP = "skip"
    """This time is left out."""
    BUFFER = "buffer"
    """One waits until that has ended; further ones are left out."""
    ALLOW = "allow"
    """Another session is launched beside it."""
    REPLACE = "replace"
    """That is ended, in order, and then the next is launched."""
