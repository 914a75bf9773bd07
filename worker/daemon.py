"""``stratavored``: the servers, the workers, the host monitor, the event relay and the API of one host."""

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from stratavore import __version__, connect, procfs, telemetry, threads
from stratavore.config.path import name_file
from stratavore.config.reading import Configuration, read_configuration
from stratavore.config.settings import Settings
from stratavore.daemon_lock import DaemonLock
from stratavore.embedded.records import write_private
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import ServerAway, StratavoreError
from stratavore.models.upkeep import UpkeepPart
from stratavore.models.views import DaemonView, ServerView
from stratavore.paths import Home
from stratavore.servers import namespace
from stratavore.store.migrate import migrate
from worker.api.methods import api_methods
from worker.api.server import ApiServer, Method
from worker.background import begin, every, why_ended
from worker.lease import HostLease
from worker.parts import Parts
from worker.service_manager import ServiceManager

log = logging.getLogger("stratavored")

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""For which a server that is away is waited for at the start."""


class Daemon:
    """Everything that runs on one host. No daemon is special: any of them may end at any moment."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._id = uuid4()
        self._began = monotonic()
        self._stack = EmbeddedStack(home, settings)
        self._stop = asyncio.Event()
        self._metrics_address = ""
        self._manager = ServiceManager()

    async def run(self) -> None:
        """Start everything, run until asked to stop, and leave sessions and servers running."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(threads.Unwaited())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        stopping = asyncio.create_task(self._stop.wait())
        connecting = asyncio.create_task(self._connect())
        await asyncio.wait({stopping, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            await self._serve(connecting.result(), stopping)
        else:
            log.info("stopping before anything was begun")
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _connect(self) -> Parts:
        """Start the servers and make them usable. One that is not up yet, or away, is waited for."""
        home, settings, stack = self._home, self._settings, self._stack
        await stack.start(progress=log.info)
        await _patiently(self._migrate)
        key = bytes.fromhex(Secrets.of(home).event_signing_key)
        database = await _patiently(lambda: connect.database(stack.postgres_dsn, key))
        client = await _patiently(lambda: connect.temporal(stack.temporal_address, settings.temporal))
        await namespace.prepare(client)
        lease = HostLease(home, settings, self._id, stack.postgres_dsn, database, client)
        await _patiently(lease.renew)
        return Parts(home, settings, self._id, stack, database, client, lease, key=key)

    async def _serve(self, parts: Parts, stopping: "asyncio.Task[bool]") -> None:
        """Work until asked to stop, or until a part failed for good."""
        await self._take_over(parts)
        api = ApiServer(self._home.api_socket, self._methods(parts))
        await api.start()
        self._write_file()

        workers = parts.workers()
        jobs = [*(worker.run() for worker in workers), *parts.jobs()]
        if self._manager.watchdog_seconds:
            jobs.append(every(self._manager.watchdog_seconds / 4, self._say_alive))
        background = [begin(job) for job in jobs]
        log.info("ready: host %s, metrics at %s", self._settings.host, self._metrics_address)
        self._manager.ready(f"host {self._settings.host}, metrics at {self._metrics_address}")
        done, _ = await asyncio.wait({stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in done if task is not stopping]

        log.info("stopping; sessions go on")
        self._manager.stopping()
        await api.close()
        await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)
        for task in (*background, stopping):
            task.cancel()
        await asyncio.gather(*background, stopping, return_exceptions=True)
        await parts.close()
        for task in failed:
            raise why_ended(task)

    async def _take_over(self, parts: Parts) -> None:
        """Watch the runners that live, set the limits that are configured, and show what is counted."""
        recovered = await _patiently(parts.monitor.recover)
        log.info("runners taken over: %d", recovered)
        if recovered:
            telemetry.RECOVERY.labels("daemon").observe(procfs.age(os.getpid()))
        for change in await _patiently(lambda: parts.limits.apply(self._settings.quotas.model_dump())):
            log.info("limits: %s", change)
        telemetry.describe_daemon(self._settings.host, __version__)
        telemetry.watch_disk(self._home.root)
        for part in UpkeepPart:
            telemetry.show_upkeep(part)
        metrics = self._settings.metrics
        self._metrics_address = telemetry.metrics_url(telemetry.serve(metrics.port, metrics.address))

    async def _migrate(self) -> None:
        try:
            if await migrate(self._stack.postgres_dsn):
                log.info("the database was migrated")
        except connect.POSTGRES_ERRORS as error:
            raise connect.postgres_refusal(error, self._stack.postgres_dsn) from error

    async def _say_alive(self) -> None:
        self._manager.alive()

    def _methods(self, parts: Parts) -> Mapping[str, Method]:
        lease = parts.lease
        return api_methods(
            parts.control,
            parts.broker,
            lease,
            status=lambda: self._status(problem=str(lease.taken) if lease.taken else None),
            stop=self._stop.set,
        )

    def _status(self, *, problem: str | None) -> DaemonView:
        return DaemonView(
            pid=os.getpid(),
            host=self._settings.host,
            version=__version__,
            uptime_s=round(monotonic() - self._began, 1),
            servers=tuple(
                ServerView(
                    name=one.name,
                    address=one.address,
                    state=one.state,
                    pid=one.pid,
                    detail=one.detail,
                    ui=one.ui,
                )
                for one in self._stack.servers()
            ),
            psql=self._stack.psql_command,
            metrics=self._metrics_address,
            problem=problem,
        )

    def _write_file(self) -> None:
        write_private(
            self._home.daemon_file,
            {
                "pid": os.getpid(),
                "host": self._settings.host,
                "version": __version__,
                "started_at": datetime.now(UTC).isoformat(),
                "metrics": self._metrics_address,
            },
        )


async def _patiently(job: Callable[[], Awaitable[T]]) -> T:
    """Do what needs a server; for a while, try again when it is away: after a machine's start all come up at once."""
    deadline = monotonic() + PATIENCE_SECONDS
    warned = False
    while True:
        try:
            return await job()
        except Exception as error:
            away = error if isinstance(error, StratavoreError) else connect.failure(error)
            if not isinstance(away, ServerAway):
                raise
            if monotonic() > deadline:
                raise away from error
            if not warned:
                log.warning("waiting: %s", away)
            warned = True
        await asyncio.sleep(0.5)


def main() -> None:
    """Run the daemon in the foreground. Ends with the exit code of what went wrong, or 0."""
    words = _parser().parse_args()
    code = 0
    telemetry.configure_logging(sys.stderr)
    faulthandler.enable()  # a daemon that hangs is ended by SIGABRT, and says then where it hung
    try:
        if words.config:
            name_file(words.config)
        configuration = read_configuration()
        if words.config_check:
            _tell(configuration)
        else:
            _run(configuration)
    except StratavoreError as error:
        sys.stderr.write(f"Error: {error}\n")
        code = error.exit_code
    except Exception:
        log.exception("the daemon failed in a way nobody thought of")
        code = 1
    # A process that used the Temporal SDK sometimes dies by a signal at interpreter exit, after its work is done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(configuration: Configuration) -> None:
    settings = configuration.settings
    telemetry.configure_logging(sys.stderr, settings.log.level.upper())
    home = Home.from_environment()
    home.create()
    DaemonLock(home).take()
    log.info("configuration: %s", configuration.origin)
    for warning in configuration.warnings:
        log.warning("%s", warning)
    asyncio.run(Daemon(home, settings).run())


def _tell(configuration: Configuration) -> None:
    sys.stdout.write(f"The configuration is right: {configuration.origin}.\n")
    for warning in configuration.warnings:
        sys.stderr.write(f"Warning: {warning}.\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stratavored",
        description="Keep the sessions of this host running: servers, workers, host monitor, event relay and API. "
        "Runs in the foreground until SIGTERM or Ctrl-C; sessions and servers go on without it.",
        epilog="Settings come from environment variables STRATAVORE_..., else from the configuration file, else they "
        "have defaults; see: stratavore config show. STRATAVORE_HOME names the state directory.",
    )
    parser.add_argument("--version", action="version", version=f"stratavored {__version__}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration file; else ~/.config/stratavore/stratavore.yaml, else /etc/stratavore/stratavore.yaml",
    )
    parser.add_argument(
        "--config-check",
        action="store_true",
        help="start nothing, only say whether the configuration is right; ends with 2 if it is not",
    )
    return parser


if __name__ == "__main__":
    main()
