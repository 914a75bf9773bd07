"""``stratavored``: the servers, the workers, the host monitor, the event relay and the API of one host."""

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import Worker

from activities.admission import AdmissionActivities
from activities.exports import ExportActivities
from activities.records import RecordActivities
from activities.resets import ResetActivities
from activities.runners import RunnerActivities
from activities.schedules import ScheduleActivities
from activities.starts import Starts
from activities.upkeep import UpkeepActivities
from stratavore import __version__, connect, fencing, procfs, telemetry
from stratavore.cancelling import strays_fail
from stratavore.config.path import name_file
from stratavore.config.reading import Configuration, read_configuration
from stratavore.config.settings import Settings
from stratavore.control import Control
from stratavore.control.account_limits import LOOK_SECONDS as LIFT_SECONDS
from stratavore.control.account_limits import AccountLimits
from stratavore.control.configured_limits import ConfiguredLimits
from stratavore.control.exports import Exports
from stratavore.control.lost_workflows import LostWorkflows
from stratavore.control.regular_upkeep import RegularUpkeep
from stratavore.control.resets import Resets
from stratavore.control.scheduled_launches import ScheduledLaunches
from stratavore.daemon_lock import DaemonLock
from stratavore.embedded.records import write_private
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import ServerAway, StratavoreError
from stratavore.events.broker import Broker
from stratavore.events.relay import Relay
from stratavore.killpoints import effect
from stratavore.models.findings import Reconciliation
from stratavore.models.resets import Resettable
from stratavore.models.upkeep import UpkeepPart
from stratavore.models.views import DaemonView, ServerView
from stratavore.paths import Home
from stratavore.reconcile.here import Here
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.logs import trim_logs
from stratavore.runtime.tmux import Tmux
from stratavore.servers import export_schedule, namespace, schedules
from stratavore.snapshot import show, snapshot
from stratavore.store.database import Database
from stratavore.store.migrate import migrate
from stratavore.tls import TlsFiles
from worker.api.server import ApiServer
from worker.background import begin, every, until_done, why_ended
from worker.budgets import LOOK_SECONDS as BUDGETS_SECONDS
from worker.budgets import Budgets
from worker.failover import Failover
from worker.fence import LOOK_SECONDS as FENCE_SECONDS
from worker.fence import Fence
from worker.lease import HostLease
from worker.left_behind import LOOK_SECONDS as REST_SECONDS
from worker.left_behind import Rest
from worker.memory import LOOK_SECONDS as MEMORY_SECONDS
from worker.memory import MemoryLimits
from worker.monitor import HostMonitor
from worker.part_time import PartTimeWorker
from worker.registry import host_worker, launch_worker, session_worker, upkeep_worker
from worker.service_manager import ServiceManager

log = logging.getLogger("stratavored")

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
SERVERS_SECONDS = 2.0
LOOK_SECONDS = 5.0
ANSWER_SECONDS = 10.0
LOGS_SECONDS = 10.0


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
        self._away: set[str] = set()
        """Servers that did not answer when they were last asked."""

    async def run(self) -> None:
        """Start everything, run until asked to stop, and leave sessions and servers running."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        stopping = asyncio.create_task(self._stop.wait())
        connecting = asyncio.create_task(self._connect())
        await asyncio.wait({stopping, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            await self._serve(*connecting.result(), stopping)
        else:
            log.info("stopping before anything was begun")
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _connect(self) -> tuple[Database, Client, HostLease]:
        """Start the servers and make them usable. One that is not up yet, or away, is waited for."""
        await self._stack.start(progress=log.info)
        await _patiently(self._migrate)
        database = await _patiently(lambda: connect.database(self._stack.postgres_dsn, self._key()))
        client = await _patiently(lambda: connect.temporal(self._stack.temporal_address, self._settings.temporal))
        await namespace.prepare(client)
        lease = HostLease(self._home, self._settings, self._id, database, client)
        await _patiently(lease.renew)
        return database, client, lease

    async def _serve(
        self, database: Database, client: Client, lease: HostLease, stopping: "asyncio.Task[bool]"
    ) -> None:
        """Work until asked to stop, or until a part failed for good."""
        tmux = Tmux(self._home)
        host = RunnerHost(self._home, tmux)
        monitor = HostMonitor(
            self._home,
            self._settings.host,
            self._id,
            database,
            client,
            host,
            tmux,
            LostWorkflows(self._home, self._settings.host, database, client).go_on,
            interval=self._settings.monitor_interval_seconds,
        )
        recovered = await _patiently(monitor.recover)
        log.info("runners taken over: %d", recovered)
        if recovered:
            telemetry.RECOVERY.labels("daemon").observe(procfs.age(os.getpid()))
        admission, records = AdmissionActivities(database), RecordActivities(database)
        starts_at_once = self._settings.starts_at_once or len(os.sched_getaffinity(0))
        activities = RunnerActivities(self._home, database, host, tmux, monitor, Starts(starts_at_once, monitor.is_up))
        broker = Broker(lambda: self._stack.rabbitmq_url, tls=TlsFiles.of(self._settings.rabbitmq))
        relay = Relay(self._stack.postgres_dsn, broker, key=self._key())
        here = Here(self._home, tmux, monitor)
        control = Control(
            self._home,
            self._settings.host,
            database,
            client,
            here,
            broker if self._settings.rabbitmq.enabled else None,
        )
        upkeep = UpkeepActivities(RegularUpkeep(self._home, self._settings.host, database, client, here))
        periods = Resets(self._home, self._settings.host, database, client)
        launches = ScheduledLaunches(self._home, self._settings.host, database, client, here)
        exports = Exports(self._home, self._settings.host, database, client)
        export = self._settings.export
        exported = ExportActivities(lambda due: exports.write_days(export.directory, export.format, due))
        scheduled = ScheduleActivities(launches.prepare_scheduled)
        resets = ResetActivities({Resettable.QUOTAS: periods.reset_quotas, Resettable.BUDGETS: periods.reset_budgets})
        limits = ConfiguredLimits(self._home, self._settings.host, database, client)
        for change in await _patiently(lambda: limits.apply(self._settings.quotas.model_dump())):
            log.info("limits: %s", change)
        telemetry.describe_daemon(self._settings.host, __version__)
        telemetry.watch_disk(self._home.root)
        for part in UpkeepPart:
            telemetry.show_upkeep(part)
        metrics = self._settings.metrics
        self._metrics_address = telemetry.metrics_url(telemetry.serve(metrics.port, metrics.address))
        api = ApiServer(self._home.api_socket, self._methods(control, broker, lease))
        await api.start()
        self._write_file()

        workers: list[Worker | PartTimeWorker] = [
            PartTimeWorker(
                lambda: session_worker(client, admission, records),
                lambda: fencing.held(self._home) is not None,
                without="without a lease no session workflows are taken",
            ),
            PartTimeWorker(
                lambda: host_worker(client, self._settings.host, activities, upkeep, scheduled, exported),
                lambda: lease.taken is None,
                without="what the host is asked for is left to the other daemon",
            ),
            PartTimeWorker(
                lambda: launch_worker(client, self._settings.host, activities, starts_at_once),
                lambda: lease.taken is None,
                without="launches are left to the other daemon",
            ),
            upkeep_worker(client, upkeep, resets),
        ]
        failover = Failover(self._settings.host, database, client, activities.receive)
        jobs = [
            *(self._work(worker) for worker in workers),
            monitor.run(),
            relay.run(),
            every(SERVERS_SECONDS, self._stack.ensure),
            every(lease.interval, lambda: self._keep_lease(lease, monitor)),
            every(FENCE_SECONDS, Fence(self._home, host).look),
            every(lease.interval, lease.unless_taken(failover.look)),
            every(BUDGETS_SECONDS, Budgets(self._settings.host, database, client).look),
            every(MEMORY_SECONDS, self._memory_limits(database, client).look),
            every(LIFT_SECONDS, AccountLimits(self._home, self._settings.host, database, client).lift),
            every(REST_SECONDS, lease.unless_taken(Rest(self._home, self._settings.host, database).look)),
            every(LOGS_SECONDS, self._trim_logs),
            until_done(lambda: self._keep_schedules(client)),
            until_done(lambda: self._after_restore(control)),
            every(LOOK_SECONDS, lambda: self._ask("postgres", lambda: self._snapshot(database))),
            every(LOOK_SECONDS, lambda: self._ask("temporal", client.service_client.check_health)),
        ]
        if self._settings.rabbitmq.enabled:
            jobs.append(every(LOOK_SECONDS, lambda: self._ask("rabbitmq", broker.ready)))
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
        await monitor.close()
        await broker.close()
        await database.close()
        for task in failed:
            raise why_ended(task)

    def _memory_limits(self, database: Database, client: Client) -> MemoryLimits:
        quotas = self._settings.quotas
        grace = timedelta(seconds=quotas.memory_grace_seconds)
        return MemoryLimits(database, client, quotas.memory_action, grace)

    async def _migrate(self) -> None:
        try:
            if await migrate(self._stack.postgres_dsn):
                log.info("the database was migrated")
        except connect.POSTGRES_ERRORS as error:
            raise connect.postgres_refusal(error, self._stack.postgres_dsn) from error

    def _key(self) -> bytes:
        return bytes.fromhex(Secrets.of(self._home).event_signing_key)

    async def _keep_lease(self, lease: HostLease, monitor: HostMonitor) -> None:
        """Renew it. While another daemon has the host's name, let go of what has gone on there."""
        before = lease.taken
        await lease.keep(monitor.ending_runners())
        if lease.taken:
            await monitor.end_past()
        elif before:
            await monitor.recover()

    async def _work(self, worker: Worker | PartTimeWorker) -> None:
        await worker.run()

    async def _keep_schedules(self, client: Client) -> None:
        with effect("schedules.keep"):
            await schedules.keep(
                client, self._settings.host, timedelta(seconds=self._settings.reconcile_interval_seconds)
            )
            wanted = self._settings.export.directory is not None
            await export_schedule.keep(client, self._settings.host, wanted=wanted)

    async def _after_restore(self, control: Control) -> None:
        """After a restore Temporal knows no session: their workflows are started again at once."""
        if await asyncio.to_thread(self._home.restored_file.exists):
            found = await control.reconcile()
            log.info("after a restore: %d differences, workflows started again", len(found.differences))
            with effect("restore.reconciled"):
                await asyncio.to_thread(self._home.restored_file.unlink)

    async def _trim_logs(self) -> None:
        await asyncio.to_thread(trim_logs, self._home.logs)

    async def _say_alive(self) -> None:
        self._manager.alive()

    async def _ask(self, server: str, question: Callable[[], Awaitable[object]]) -> None:
        """Ask a server something, and show whether it answered; that it is away, or is back, is said once."""
        failure = ""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                with strays_fail():
                    await question()
        except Exception as error:
            failure = str(error) or type(error).__name__
        if failure and server not in self._away:
            log.warning("%s does not answer: %s", server, failure)
            self._away.add(server)
        elif not failure and server in self._away:
            log.info("%s answers again", server)
            self._away.discard(server)
        telemetry.show_server(server, up=not failure)

    async def _snapshot(self, database: Database) -> None:
        async with database.pool.acquire() as connection:
            show(await snapshot(connection))

    def _methods(self, control: Control, broker: Broker, lease: HostLease) -> dict[str, Callable[..., Any]]:
        own = {
            name: getattr(control, name)
            for name in dir(Control)
            if not name.startswith("_") and callable(getattr(Control, name))
        }

        async def server_versions() -> dict[str, str | None]:
            return await control.server_versions() | {"rabbitmq": broker.version}

        async def reconcile(**params: Any) -> Reconciliation:
            if lease.taken:  # its runners would be taken for lost, since none of them is here
                raise lease.taken
            return await control.reconcile(**params)

        async def status() -> DaemonView:
            return self._status(problem=str(lease.taken) if lease.taken else None)

        return {
            **own,
            "server_versions": server_versions,
            "daemon_status": status,
            "reconcile": reconcile,
            "stop_daemon": self._stop_soon,
            "subscribe": broker.subscribe,
        }

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

    async def _stop_soon(self) -> dict[str, str]:
        self._stop.set()
        return {}

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
