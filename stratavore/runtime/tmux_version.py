"""Which tmux will do. The standard library only: ``setup`` asks before anything is installed."""

import re

LEAST = (3, 2)
WANTED = f"tmux {LEAST[0]}.{LEAST[1]} or later"
INSTALL = f"Install {WANTED}"


def will_do(said: str) -> bool:
    """Whether a tmux that says this of itself (``tmux -V``) is new enough; of one that says nothing it is not known."""
    return tuple(int(one) for one in re.findall(r"\d+", said)[:2]) >= LEAST
