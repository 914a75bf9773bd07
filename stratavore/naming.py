"""Names and numbers that several parts must spell the same way."""

TASK_QUEUE = "stratavore"
"""Where every daemon takes session workflows from."""

WORKFLOW = "Session"


def workflow_id(session_id: str) -> str:
    """The id of a session's workflow."""
    return f"session-{session_id}"


def host_queue(host: str) -> str:
    """The task queue that only a host's own daemon polls."""
    return f"host-{host}"


def session_of(runner_id: str) -> str:
    """The session of a runner id ``<session>.<generation>``."""
    return runner_id.partition(".")[0]


def generation_of(runner_id: str) -> int:
    """The generation of a runner id ``<session>.<generation>``."""
    return int(runner_id.rpartition(".")[2])


def short(session_id: str) -> str:
    """The beginning of an id that people type."""
    return session_id[:8]


def plural(count: int, noun: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
