"""Names and numbers that several parts must spell the same way."""

TASK_QUEUE = "stratavore"
"""Where every daemon takes session workflows from."""

WORKFLOW = "Session"

UPKEEP_QUEUE = "stratavore-upkeep"
"""Where every daemon takes upkeep of the servers from."""

UPKEEP_WORKFLOW = "Upkeep"

UPKEEP_OF_SERVERS = "upkeep-servers"
"""The schedule of what Temporal and Postgres tell each other; its runs are named after it, with their time."""

SCHEDULED_WORKFLOW = "ScheduledLaunch"

_SCHEDULED = "launch-"

EXPORT_WORKFLOW = "Export"

RESET_WORKFLOW = "Reset"

QUOTAS_RESET = "quotas-reset"
"""The schedule that begins a day of limits anew."""

BUDGETS_RESET = "budgets-reset-"
"""What the schedules that begin periods of budgets anew are called; then come the period and whose clock it follows."""


def budgets_reset(period: str, timezone: str) -> str:
    """The schedule that begins a period of budgets anew."""
    return f"{BUDGETS_RESET}{period}-{timezone.replace('/', '.')}"


def schedule_id(name: str) -> str:
    """The schedule that launches sessions; its runs are named after it, with their time."""
    return f"{_SCHEDULED}{name}"


def schedule_name(id_: str) -> str | None:
    """The name of a schedule that launches sessions; None: it is another one."""
    return id_.removeprefix(_SCHEDULED) if id_.startswith(_SCHEDULED) else None


def export_of_host(host: str) -> str:
    """The schedule that has a host write what was used on a day."""
    return f"export-host-{host}"


def upkeep_of_host(host: str) -> str:
    """The schedule of what is compared on a host."""
    return f"upkeep-host-{host}"


def workflow_id(session_id: str) -> str:
    """The id of a session's workflow."""
    return f"session-{session_id}"


def host_queue(host: str) -> str:
    """The task queue that only a host's own daemon polls."""
    return f"host-{host}"


def launch_queue(host: str) -> str:
    """The same for launches alone: those that have to wait are in nobody's way."""
    return f"host-{host}-launches"


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
