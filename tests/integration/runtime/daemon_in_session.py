"""A program that ends the processes of its own runner, but not itself."""

import asyncio
import os
import subprocess
from pathlib import Path

from stratavore.runtime.processes import Snapshot, end


def main() -> None:
    """Start a child, end all that carry the marker, and tell how many there were."""
    with subprocess.Popen(["sleep", "1000"]):
        others = Snapshot().marked().get(os.environ["STRATAVORE_RUNNER_ID"], [])
        asyncio.run(end(others, grace=0))
    result = Path(os.environ["RESULT"])
    result.with_suffix(".new").write_text(f"{len(others)} ended")
    result.with_suffix(".new").rename(result)


if __name__ == "__main__":
    main()
