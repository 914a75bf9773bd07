"""And if the process dies here? Asked of every effect of a session's path, before and after it.

A daemon that dies at the point leads a session through its whole life; whenever it is found dead, it is started again.
At the end everything has happened once.
"""

import asyncio
import os
import signal
import uuid
from collections import Counter
from typing import Any

import pytest

from cli.client import Unanswered
from stratavore.errors import RemoteError
from stratavore.paths import Home
from tests.support.daemon import DaemonProcess
from tests.support.points import named_effects
from tests.support.processes import marked
from tests.support.stacks import Stack
from tests.support.waiting import until

ON_THE_PATH = (
    "lease.renew",
    "lease.hold",
    "control.start",
    "control.signal",
    "project.create",
    "quota.configure",
    "quota.set",
    "god",
    "admit",
    "place",
    "launch.prepare",
    "launch.tmux",
    "launch.run",
    "monitor.adopt",
    "monitor.flush",
    "monitor.complete",
    "finish.capture",
    "finish.kill_session",
    "stop.signal",
    "send.begin",
    "send.type",
    "send.finish",
    "record",
    "relay.publish",
    "relay.mark",
)
ELSEWHERE = {
    "host.lost": "one transaction, whose events have keys: tests/integration/store/test_absence.py",
    "host.found": "one transaction, looked for again with each renewal of the lease: as above",
    "host.drain": "one column",
    "launch.guard": "tests/integration/hosts/test_failover.py",
    "failover.claim": "as above",
    "fence.end": "looked for each second, beside the guard of each runner: tests/integration/runtime/test_guard.py",
    "host.give_up": "repeated until no runner of the host is left: tests/integration/hosts/test_leases.py",
    "host.delete": "one transaction; repeated, there is no such host",
    "events.revive": "one statement; repeated, nothing is dead",
    "transcripts.output": "tests/integration/worker/test_transcripts.py: counted again, it counts once",
    "migrate": "tests/integration/store/test_migrate.py",
    "send.enter": "tests/chaos/test_interrupted_texts.py",
    "send.refuse": "reached only after a death in send.type, which this loop has",
    "transcripts.store": "tests/integration/worker/test_transcripts.py",
    "transcripts.account": "counts a sign for people, which may be counted twice or not at all",
    "restore.rename": "tests/integration/worker/test_transcripts.py",
    "backup.write": "tests/integration/backup/test_database.py",
    "backup.rename": "tests/integration/backup/test_database.py",
    "restore.aside": "tests/integration/backup/test_database.py",
    "restore.secrets": "tests/integration/backup/test_database.py",
    "restore.fill": "tests/integration/backup/test_database.py",
    "restore.commit": "tests/integration/backup/test_database.py: one transaction",
    "restore.reconciled": "the next daemon compares once more, and finds nothing",
    "project.delete": "one transaction; repeated, nothing is left: tests/integration/cli/test_projects.py",
    "reconcile": "tests/integration/reconcile/test_deaths.py",
    "upkeep": "tests/integration/reconcile/test_schedules.py",
    "upkeep.remove": "removes what is proven to be of no use; the next run removes the rest",
    "memory.look": "one transaction; looked at again by any daemon",
    "quota.reset": "an event has a key: told again, it is one; else reads",
    "quota.let_in": "tests/integration/worker/test_resets.py",
    "rest.count": "one transaction; read again, a reply is known: tests/e2e/test_claude_fails_over.py",
    "rest.alert": "an alert has a key: told again, it is one",
    "launch.account": "one transaction; asked again with the next try",
    "limits.note": "tests/e2e/test_claude_limited.py: told again, the same limit changes nothing",
    "budgets.cross": "marks and tells in one transaction; nobody marks twice: tests/integration/store/test_budgets.py",
    "hold.signal": "tests/integration/worker/test_budgets.py",
    "budgets.begin": "an event has a key: told again, it is one",
    "budget.set": "one transaction; set again, it is the same: tests/integration/store/test_budgets.py",
    "budget.unset": "one transaction; repeated, there is no such budget",
    "budget.reset": "given once, by the key of its event",
    "budget.approve": "tests/integration/worker/test_budgets.py",
    "schedule.create": "made by its id: made again, it is there",
    "schedule.pause": "paused again, it is paused",
    "schedule.run": "asked again with the same id, Temporal takes it once",
    "schedule.delete": "deleted by its id: deleted again, it is gone",
    "schedule.environment": "tests/integration/worker/test_scheduled_launches.py",
    "schedule.alert": "an alert has a key: told again, it is one",
    "export.write": "tests/integration/worker/test_exports.py",
    "export.alert": "an alert has a key: told again, it is one",
    "schedules.keep": "the next start makes them, or brings them up to date",
    "monitor.set_aside": "an alert has a key: told again, it is one",
    "monitor.out_of_reach": "an alert has a key: told again, it is one",
    "receive": "asks, and changes nothing: test_moves.py",
    "reconcile.ask": "asks, and changes nothing",
    "reconcile.tell": "an alert has a key: told again, it is one",
    "refuse": "tests/workflow: a request that is refused twice is refused once",
}
RECOVERY_SECONDS = 150.0
OF_A_BUSY_HOST = ("runner.activity", "session.unreachable", "session.reachable")
"""Events that come as often as it happens: one that renews no lease for long is taken for away, and comes back."""
SETTINGS = {"STRATAVORE_QUOTAS__MAX_CONCURRENT_RUNNERS": "10"}


class Survivor:
    """A daemon that dies at a point and is started again, and a client that repeats itself."""

    def __init__(self, process: DaemonProcess, kill_at: str) -> None:
        self.process = process
        self.kill_at = kill_at
        self.deaths = 0

    async def begin(self) -> None:
        self.process.spawn(kill_at=self.kill_at, settings=SETTINGS)
        await self.ready()

    async def ready(self) -> None:
        """Wait for an answer; a daemon that has died is started once more, and does not die again."""
        while True:
            try:
                await self.process.call("daemon_status")
                return
            except Unanswered:
                if self.process.ended:
                    assert self.process.end() == -signal.SIGKILL, self.process.tail()
                    self.deaths += 1
                    self.process.spawn(settings=SETTINGS)
                await asyncio.sleep(0.02)

    async def call(self, method: str, /, **params: Any) -> Any:
        while True:
            try:
                return await self.process.call(method, **params)
            except Unanswered:
                await self.ready()

    async def state(self, session: str, *wanted: str, generation: int) -> None:
        """Wait until the session is in one of the states with this generation."""
        found = None
        try:
            async with asyncio.timeout(RECOVERY_SECONDS):
                while True:
                    found = await self.call("wait", session_id=session, states=wanted, timeout_s=1)
                    if found and found["state"] in wanted and found["generation"] == generation:
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            ended = await self.process.fetch("SELECT id, exit_kind, exit_code, exit_reason, last_lines FROM runners")
            runners = "\n".join(str(dict(row)) for row in ended)
            raise AssertionError(f"not {wanted} but {found}\n{runners}\n{self.process.tail(100)}") from None

    async def command(self, session: str, action: str) -> None:
        """Ask until it is heard: the second time it may be done already."""
        request = str(uuid.uuid4())
        try:
            await self.call("command", target=session, action=action, request_id=request)
        except RemoteError as error:
            assert error.code == "wrong_state"


@pytest.fixture
def process(home: Home, stack: Stack, database: str, namespace: str, rabbitmq_url: str) -> Any:
    made = DaemonProcess(
        home,
        temporal=stack.temporal_address,
        namespace=namespace,
        dsn=database,
        rabbitmq=rabbitmq_url,
        host=f"h-{uuid.uuid4().hex[:8]}",
    )
    yield made
    made.kill()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("effect", ON_THE_PATH)
async def test_a_death_here_changes_nothing(process: DaemonProcess, effect: str, moment: str) -> None:
    daemon = Survivor(process, f"{effect}.{moment}")
    await daemon.begin()
    project = f"p{uuid.uuid4().hex[:8]}"
    directory = process.home.root / project
    directory.mkdir()
    try:
        await daemon.call("create_project", name=project, path=str(directory), argv=["cat"])
    except RemoteError as error:
        assert error.code == "project_exists"  # it died after it had answered nobody
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
    session = str(uuid.uuid4())
    operator = {"id": str(uuid.uuid4()), "user": "ann", "uid": os.getuid(), "host": "h"}
    await daemon.call("launch", project=project, session_ids=[session], god=operator)
    await daemon.state(session, "running", generation=1)
    typed = await send(daemon, session)
    log = process.home.run_directory(f"{session}.1") / "log"
    if typed:  # the pause may come before a busy machine lets cat read it
        await until(lambda: log.read_text().count("some words") == 2, what="cat's echo and output")
    await daemon.command(session, "pause")
    await daemon.state(session, "paused", generation=1)
    await daemon.command(session, "resume")
    await daemon.state(session, "running", generation=2)
    (runner,) = await daemon.call("list_runners")
    os.kill(runner["pid"], signal.SIGKILL)
    await daemon.state(session, "running", generation=3)
    (runner,) = await daemon.call("list_runners")
    assert runner["runner_id"] == f"{session}.3"
    living = marked(session_id=session)
    assert runner["pid"] in {one.pid for one in living}
    (held,) = await process.fetch("SELECT session_id::text, granted_at IS NOT NULL AS granted FROM admissions")
    assert (held["session_id"], held["granted"]) == (session, True)
    await daemon.command(session, "terminate")
    await daemon.state(session, "ended", generation=3)
    await everything_happened_once(daemon, session, typed)


async def send(daemon: Survivor, session: str) -> bool:
    """Send a text. Returns whether it is known to have been typed."""
    try:
        await daemon.call(
            "send", target=session, text="some words", request_id=str(uuid.uuid5(uuid.UUID(session), "send"))
        )
    except RemoteError as error:
        assert "interrupted while typing" in str(error)
        return False
    return True


async def everything_happened_once(daemon: Survivor, session: str, typed: bool) -> None:
    process = daemon.process
    assert marked(session_id=session) == []
    assert await process.fetch("SELECT * FROM admissions") == []
    runners = await process.fetch("SELECT generation, status, ended_at FROM runners ORDER BY generation")
    assert [(row["generation"], row["status"]) for row in runners] == [
        (1, "terminated"),
        (2, "failed"),
        (3, "terminated"),
    ]
    assert all(row["ended_at"] for row in runners)
    rows = await process.fetch("SELECT type, sequence FROM events WHERE session_id = $1 ORDER BY sequence", session)
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    counted = Counter(row["type"] for row in rows if row["type"] not in OF_A_BUSY_HOST)
    assert counted == {
        "session.created": 1,
        "runner.started": 3,
        "session.resumed": 2,
        "runner.stopped": 2,
        "runner.failed": 1,
        "session.paused": 1,
        "session.ended": 1,
        "system.god": 1,
    }
    by_god = await process.fetch("SELECT id FROM events WHERE type = 'system.god' AND session_id IS NULL")
    assert len(by_god) == 1
    (configured,) = await process.fetch("SELECT count(*) AS times FROM limits WHERE source IS NOT NULL")
    assert configured["times"] == 1
    echoed = (process.home.run_directory(f"{session}.1") / "log").read_text().count("some words")
    assert echoed in ((2,) if typed else (0, 1, 2))  # cat's echo and output, or nobody knows
    async with asyncio.timeout(RECOVERY_SECONDS):
        while await process.fetch("SELECT 1 FROM outbox WHERE NOT delivered"):
            await daemon.ready()
            await asyncio.sleep(0.05)
    await daemon.ready()  # it may have died when all was over
    assert daemon.deaths == 1, f"{daemon.kill_at} was not reached\n{process.tail(100)}"


def test_every_effect_is_asked() -> None:
    embedded = {name for name in named_effects() if name.startswith("embedded.")}  # tests/integration/embedded
    assert set(named_effects()) - embedded == set(ON_THE_PATH) | set(ELSEWHERE)
