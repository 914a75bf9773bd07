"""A real ``stratavored`` as a process of its own, on the servers of the run, with its own database and namespace."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cli.client import Unanswered, call
from stratavore.killpoints import VARIABLE
from stratavore.naming import workflow_id
from stratavore.paths import Home
from tests.support.newborn import Newborn
from tests.support.nursery import PROGRAM
from tests.support.nursery import current as open_nursery
from tests.support.waiting import PATIENCE_SECONDS, answer, until

START_SECONDS = 120.0


def _far_from_upkeep() -> int:
    """An interval for the schedules that none of its runs comes near to now.

    Temporal counts intervals from the epoch, and adds up to a tenth: one of a day has runs after each midnight.
    """
    now = time.time()
    return next(seconds for seconds in range(86_400, 36_000, -600) if 0.2 < now % seconds / seconds < 0.8)


class DaemonProcess:
    """Starts, calls, kills and starts again one daemon of one state directory."""

    def __init__(self, home: Home, *, temporal: str, namespace: str, dsn: str, rabbitmq: str | None, host: str) -> None:
        self.home = home
        self.namespace = namespace
        self.dsn = dsn
        self.host = host
        self.temporal = temporal
        self._rabbitmq = rabbitmq
        self._process: subprocess.Popen[bytes] | Newborn | None = None
        self.program = PROGRAM
        """The module that is run."""
        self.as_program = False
        """It imports itself all that it needs, even where a nursery could bear it."""
        self.log = home.root / "daemon.test.log"

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon, and a command line that works beside it, are started with."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        settings = {
            "STRATAVORE_HOME": str(self.home.root),
            "STRATAVORE_CONFIG": "/dev/null",  # not that of whoever runs the tests
            "STRATAVORE_HOST": self.host,
            "STRATAVORE_TEMPORAL__ADDRESS": self.temporal,
            "STRATAVORE_TEMPORAL__NAMESPACE": self.namespace,
            "STRATAVORE_POSTGRES__DSN": self.dsn,
            "STRATAVORE_METRICS__PORT": "0",
            "STRATAVORE_MONITOR_INTERVAL_SECONDS": "0.2",
            "STRATAVORE_RECONCILE_INTERVAL_SECONDS": str(_far_from_upkeep()),  # a test asks for it
        }
        if self._rabbitmq:
            settings["STRATAVORE_RABBITMQ__URL"] = self._rabbitmq
        else:
            settings["STRATAVORE_RABBITMQ__ENABLED"] = "false"
        return kept | settings

    @property
    def pid(self) -> int:
        """Of the daemon that was started last."""
        assert self._process is not None
        return self._process.pid

    def spawn(self, *, kill_at: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        """Start the process and do not wait. ``kill_at`` names the kill point at which it dies."""
        environment = self.environment | dict(settings or {})
        if kill_at:
            environment[VARIABLE] = kill_at
        nursery = open_nursery() if self.program == PROGRAM and not self.as_program else None
        with self.log.open("ab") as log:
            if nursery is not None:
                self._process = nursery.bear(environment, self.home.root, log)
                return
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.program],
                env=environment,
                cwd=self.home.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def start(self, *, kill_at: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        """Start it and wait until its API answers."""
        self.spawn(kill_at=kill_at, settings=settings)
        await self.ready()

    async def ready(self) -> None:
        """Wait until the API answers."""

        def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"the daemon ended:\n{self.tail()}"
            try:
                call(self.home.api_socket, "daemon_status", {}, 5)
            except Unanswered:
                return False
            return True

        await until(answers, timeout=START_SECONDS, what="an answering daemon")

    def kill(self) -> None:
        """``kill -9``."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and give its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(timeout=30)

    @property
    def ended(self) -> bool:
        """Whether the process that was started last has ended."""
        return self._process is None or self._process.poll() is not None

    async def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        await self.start()

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def call(self, method: str, /, **params: Any) -> Any:
        """Call the private API."""
        return await asyncio.to_thread(call, self.home.api_socket, method, params, 60)

    async def project(self, argv: list[str], path: Path | None = None) -> str:
        """A new project. Returns its name."""
        name = f"p{uuid.uuid4().hex[:8]}"
        directory = path or self.home.root / name
        directory.mkdir(exist_ok=True)
        await self.call("create_project", name=name, path=str(directory), argv=argv)
        return name

    async def launch(self, project: str, count: int = 1, **params: Any) -> list[str]:
        """New sessions. Returns their ids."""
        sessions = [str(uuid.uuid4()) for _ in range(count)]
        await self.call("launch", project=project, session_ids=sessions, **params)
        return sessions

    async def wait(
        self, session: str, *states: str, generation: int = 0, timeout: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """The session, once it is in one of the states; through deaths of the daemon.

        Wait for what lasts: ``recovering`` may be over before anybody looks. What an earlier runner than
        ``generation`` is does not count.
        """
        found: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        found = await self.call(
                            "wait", session_id=session, states=states, timeout_s=5, generation=generation
                        )
                    except Unanswered:
                        await asyncio.sleep(0.05)
                        continue
                    if found and found["state"] in states and found["generation"] >= generation:
                        return found
        except TimeoutError:
            wanted = f"{states} of generation {generation}"
            raise AssertionError(f"not {wanted} but {found}\n{self.tail()}") from None

    async def wait_for_generation(
        self, session: str, generation: int, timeout: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """The session, once its runner of this generation runs."""
        return await self.wait(session, "running", generation=generation, timeout=timeout)

    async def wait_in_line(self, session: str, timeout: float = PATIENCE_SECONDS) -> int:
        """The session's place in the line, once it has one: it is ``queued`` a moment before."""

        async def place() -> int:
            return int((await self.wait(session, "queued", timeout=timeout))["position"] or 0)

        return await answer(place, timeout, f"a place in the line for {session}")

    async def command(self, target: str, action: str, **params: Any) -> None:
        """Pause, resume or terminate."""
        await self.call("command", target=target, action=action, request_id=str(uuid.uuid4()), **params)

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Ask the database directly."""
        async with self.connection() as connection:
            return await connection.fetch(statement, *values)

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        """A connection to the database, for who asks often."""
        opened = await asyncpg.connect(self.dsn)
        try:
            yield opened
        finally:
            await opened.close()

    async def client(self) -> Client:
        """A client of the daemon's namespace."""
        return await Client.connect(self.temporal, namespace=self.namespace, data_converter=pydantic_data_converter)

    async def settled_history(self, session: str) -> int:
        """How many events its workflow has once its runner is supervised; then none is added while it runs.

        A session is shown as running earlier: by the launch, before its workflow hears of it.
        """
        handle = (await self.client()).get_workflow_handle(workflow_id(session))

        async def supervised() -> int:
            described = await handle.describe()
            (one, *_) = described.raw_description.pending_activities or (None,)
            settled = one and one.activity_type.name == "supervise" and one.last_started_time.seconds
            return described.history_length if settled else 0

        return await answer(supervised, what=f"the supervision of {session}")

    async def history_length(self, session: str) -> int:
        """How many events the session's workflow has."""
        client = await self.client()
        return (await client.get_workflow_handle(workflow_id(session)).describe()).history_length
