"""Without a daemon: the use cases in the command's own process."""

import subprocess
import sys
from pathlib import Path

from tests.support.servers import REPOSITORY

ASKED = """
import logging, sys
from pathlib import Path
from cli.direct import Direct
from stratavore.errors import StratavoreError
from stratavore.paths import Home
try:
    Direct(Home(Path(sys.argv[1])))
except StratavoreError as error:
    print(error.code)
logging.getLogger("asyncpg.pool").warning("the floor", exc_info=OSError("refused"))
"""


def test_what_libraries_log_is_not_for_people(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert (done.stdout, done.stderr) == ("daemon_away\n", "")
