"""A difference, and what is done about it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stratavore.models.findings import DifferenceKind
from stratavore.store.reconcile import SessionRow


class Repair(StrEnum):
    """What is done about a difference."""

    TAKE_UP = "its workflow is started again, as the session is shown, and goes on with any live agent"
    CATCH_UP = "Postgres is brought up to what its host and its workflow know"
    OPEN_SESSION = "its row is written again, as its workflow was started"
    END_SESSION = "the session is ended, and gives its slot back; it can be resumed"
    END_AGENT = "its workflow is started again to end the session with its agent"
    TERMINATE_WORKFLOW = "the workflow is terminated"
    WATCH = "the host's monitor watches it, and tells its workflow when it ends"
    END_RUNNER = "its end is recorded, and its processes are ended"
    END_PROCESSES = "the processes are ended"
    CLOSE_TERMINAL = "the terminal is closed"
    RELEASE_SLOT = "it is given back"
    TAKE_SLOT = "the slot that it uses is counted"
    ASK_AGAIN = "its workflow is woken, and asks for a place again"
    REMOVE_DIRECTORY = "the directory is removed"


@dataclass(frozen=True)
class Finding:
    """A difference, with what would be done. Without a repair ``advice`` says what a person can do."""

    kind: DifferenceKind
    subject: str
    what: str
    repair: Repair | None
    advice: str = ""
    since: datetime | None = None
    session: SessionRow | None = None
    """None: Postgres has none."""
    forced: bool = False
    """Nothing proves that the repair is safe: a person asked for it."""
