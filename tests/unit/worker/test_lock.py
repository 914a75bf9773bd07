import os
import subprocess
import sys

import pytest

from stratavore.daemon_lock import DaemonLock, holder
from stratavore.errors import DaemonRunning
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, end, identify, liveness

HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from stratavore.paths import Home; from stratavore.daemon_lock import DaemonLock\n"
    "DaemonLock(Home(Path(sys.argv[1]))).take(); print('held', flush=True); time.sleep(600)"
)


async def test_it_is_held_until_its_holder_dies_however_it_dies(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(home.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(DaemonRunning, match=f"process {holder.pid}"):
            DaemonLock(home).take()
        holder.kill()
    DaemonLock(home).take()
    assert home.daemon_lock.read_text() == f"{os.getpid()}\n"
    assert home.daemon_lock.stat().st_mode & 0o777 == 0o600


def test_who_holds_it_is_proven_by_more_than_a_number(home: Home) -> None:
    assert holder(home) is None
    DaemonLock(home).take()
    found = holder(home)
    assert found is not None and found.pid == os.getpid()
    home.daemon_lock.write_text(f"{os.getppid()}\n")  # as one of the past, whose number was given out again
    assert holder(home) is None
    home.daemon_lock.write_text("")
    assert holder(home) is None


async def test_a_child_that_outlives_the_daemon_does_not_hold_it(home: Home) -> None:
    start = HOLD.replace(
        "time.sleep(600)", "from subprocess import *; print(Popen(['sleep', '600'], stdout=DEVNULL).pid)"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", start, str(home.root)], stdout=subprocess.PIPE, text=True, check=True
    )
    child = identify(int(answer.stdout.split()[1]))
    assert child is not None
    DaemonLock(home).take()
    assert liveness(child) is Liveness.ALIVE
    assert await end([child], grace=0) == []
