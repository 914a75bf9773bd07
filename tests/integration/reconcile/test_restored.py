"""Postgres restored behind a Temporal that has gone on: nothing is harmed, and all sessions can be used."""

import os
import signal
import subprocess
from typing import Any
from urllib.parse import urlsplit

from stratavore.embedded.postgres import bundled
from stratavore.runtime.processes import Liveness, ProcessIdentity, liveness
from tests.integration.worker.watching import events, generation, running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer


class Backup:
    """A dump of the daemon's database, and its way back."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        self._file = daemon.home.root / "backup.dump"

    def take(self) -> None:
        self._run("pg_dump", "--format=custom", f"--file={self._file}", self._daemon.dsn)

    async def restore(self) -> None:
        """While no daemon runs; as ``pg_restore --clean`` does it."""
        await self._daemon.fetch("DROP SCHEMA public CASCADE")
        await self._daemon.fetch("CREATE SCHEMA public")
        words = ("--exit-on-error", "--no-owner", "--clean", "--if-exists", "--dbname", self._daemon.dsn)
        self._run("pg_restore", *words, str(self._file))

    def _run(self, program: str, *words: str) -> None:
        environment = os.environ | {"PGPASSWORD": urlsplit(self._daemon.dsn).password or ""}
        argv = [str(bundled().programs / program), *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


async def put_away(daemon: DaemonProcess, session: str) -> None:
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")


async def run_again(daemon: DaemonProcess, session: str, number: int) -> ProcessIdentity:
    await daemon.command(session, "resume")
    return (await generation(daemon, session, number))[1]


async def end(daemon: DaemonProcess, session: str) -> None:
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")


async def settled(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Reconcile until nothing differs. Returns all that was found."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        differences = (await daemon.call("reconcile"))["differences"]
        found.extend(differences)
        return not differences

    await answer(look, timeout=60, what="agreement")
    return found


async def test_what_went_on_since_the_backup_is_brought_back(daemon: DaemonProcess) -> None:
    killed, _ = await running(daemon, ["cat"])
    resumed, _ = await running(daemon, ["cat"])
    rested, _ = await running(daemon, ["cat"])
    ended, _ = await running(daemon, ["cat"])
    alone, alone_agent = await running(daemon, ["cat"])
    await put_away(daemon, resumed)
    backup = Backup(daemon)
    backup.take()

    # Life goes on.
    (runner, _) = await generation(daemon, killed, 1)
    os.kill(runner["pid"], signal.SIGKILL)
    _, killed_agent = await generation(daemon, killed, 2)
    resumed_agent = await run_again(daemon, resumed, 2)
    await put_away(daemon, rested)
    await end(daemon, ended)
    new, new_agent = await running(daemon, ["cat"])  # of a project that is new as well
    living = {killed: (2, killed_agent), resumed: (2, resumed_agent), new: (1, new_agent), alone: (1, alone_agent)}

    for session in living:
        await daemon.settled_history(session)  # else its workflow has a launch to try again, and opens its row itself
    daemon.kill()
    await backup.restore()
    await daemon.start()
    found = await settled(daemon)
    assert {one["outcome"] for one in found} <= {"repaired", "gone"}, found
    kinds = {(one["kind"], one["subject"]) for one in found}
    assert {("session_behind", one) for one in (killed, resumed, new)} <= kinds
    assert ("workflow_without_session", new) in kinds

    # Nothing that runs was harmed, and each is shown as it is.
    for session, (number, agent) in living.items():
        assert liveness(agent) is Liveness.ALIVE
        assert (await generation(daemon, session, number))[1] == agent
        assert (await daemon.wait(session, "running"))["generation"] == number
    assert (await daemon.wait(rested, "paused"))["generation"] == 1
    assert (await daemon.wait(ended, "ended"))["generation"] == 1
    held = await daemon.fetch("SELECT session_id::text FROM admissions WHERE granted_at IS NOT NULL")
    assert {row["session_id"] for row in held} == set(living)
    for session in (killed, resumed, new):
        assert await events(daemon, session, "system.reconciled")

    # All can be used: what ends is heard, what is asked for is done.
    os.kill(resumed_agent.pid, signal.SIGKILL)
    await generation(daemon, resumed, 3)
    await put_away(daemon, killed)
    await run_again(daemon, killed, 3)
    await run_again(daemon, rested, 2)
    await daemon.command(ended, "resume")
    await generation(daemon, ended, 2)
    os.kill(new_agent.pid, signal.SIGKILL)
    await generation(daemon, new, 2)
    for session in (killed, resumed, rested, ended, new, alone):
        await end(daemon, session)
    assert (await daemon.call("reconcile"))["differences"] == []
