"""The programs beside Python's: ``python -m setup.programs`` gets everything that the tests need."""

import sys
from collections.abc import Set

from setup import claude_code, system, temporal
from setup.packages import PROMETHEUS, RABBITMQ, TMUX
from setup.progress import report

FOR_SESSIONS = frozenset({TMUX})
FOR_TESTS = frozenset({TMUX, RABBITMQ, PROMETHEUS})


def provide(needed: Set[str]) -> None:
    """Get tmux, RabbitMQ, Temporal, and what else is needed.

    Args:
        needed: packages of the system without which there is no point in going on.

    Raises:
        SetupFailed: one of those, or Temporal, is not to be had; says what to do.
    """
    system.provide(needed)
    temporal.provide()


def provide_for_tests() -> None:
    """Get these, and Claude Code.

    Raises:
        SetupFailed: one of them is not to be had; says what to do.
    """
    provide(FOR_TESTS)
    claude_code.provide()


if __name__ == "__main__":
    sys.exit(report(provide_for_tests))
