"""``python -m tests.integration.runtime.freezing_launch``: launches a runner, and stops itself at a kill point.

As a daemon does whose machine swaps. What it comes to once it goes on is written to its standard output, as JSON.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from stratavore import killpoints
from stratavore.errors import StratavoreError
from stratavore.paths import Home
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.rundir import RunSpec
from stratavore.runtime.tmux import Tmux
from tests.integration.runtime.runners import ENVIRONMENT


def freeze_at(point: str) -> None:
    """Stop this process when it reaches the point."""

    chosen = point

    def reach(point: str) -> None:
        if point == chosen:
            os.kill(os.getpid(), signal.SIGSTOP)

    killpoints.reach = reach


async def main(root: Path, spec: RunSpec) -> None:
    home = Home(root)
    try:
        started = await RunnerHost(home, Tmux(home)).launch(spec, ENVIRONMENT)
    except StratavoreError as refused:
        print(json.dumps({"refused": refused.code}))
    else:
        print(json.dumps({"pid": started.identity.pid if started.identity else None}))


if __name__ == "__main__":
    freeze_at(sys.argv[1])
    words = json.loads(sys.argv[3])
    asyncio.run(main(Path(sys.argv[2]), RunSpec(**{**words, "argv": tuple(words["argv"])})))
