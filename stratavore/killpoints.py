"""Named points at which a test lets the process die with SIGKILL, to ask for ever: and if it dies here?

Every await with an effect and every commit on a session's path is wrapped in :func:`effect`. The environment
variable ``STRATAVORE_KILL_AT`` names one point, ``<name>.before`` or ``<name>.after``; reaching it ends the process
as power loss would. Without the variable a point costs one dictionary look-up.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "STRATAVORE_KILL_AT"

_armed = os.environ.pop(VARIABLE, None)


def reach(point: str) -> None:
    """Die here if the test asked for this point."""
    if point == _armed:
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def effect(name: str) -> Iterator[None]:
    """Surround one effect: the point ``name.before``, the effect, and, if it succeeded, the point ``name.after``."""
    reach(f"{name}.before")
    yield
    reach(f"{name}.after")
