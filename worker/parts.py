"""What the daemon of a host is made of: every part is made here, and given what it works with."""

import asyncio
import os
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

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
from stratavore import fencing
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
from stratavore.embedded.stack import EmbeddedStack
from stratavore.events.broker import Broker
from stratavore.events.relay import Relay
from stratavore.models.resets import Resettable
from stratavore.paths import Home
from stratavore.reconcile.here import Here
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.logs import trim_logs
from stratavore.runtime.tmux import Tmux
from stratavore.store.database import Database
from stratavore.tls import TlsFiles
from worker.background import every, until_done
from worker.beginnings import after_restore, keep_schedules
from worker.budgets import LOOK_SECONDS as BUDGETS_SECONDS
from worker.budgets import Budgets
from worker.failover import Failover
from worker.fence import LOOK_SECONDS as FENCE_SECONDS
from worker.fence import Fence
from worker.health import LOOK_SECONDS as HEALTH_SECONDS
from worker.health import Health
from worker.lease import HostLease
from worker.left_behind import LOOK_SECONDS as REST_SECONDS
from worker.left_behind import Rest
from worker.memory import LOOK_SECONDS as MEMORY_SECONDS
from worker.memory import MemoryLimits
from worker.monitor import HostMonitor
from worker.part_time import PartTimeWorker
from worker.registry import host_worker, launch_worker, session_worker, upkeep_worker

SERVERS_SECONDS = 2.0
"""Between two looks whether the servers that this daemon started still live."""
LOGS_SECONDS = 10.0
"""Between two looks at how long the logs are."""


class Parts:
    """Everything that runs on one host beside its servers. Nothing of it has begun."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        daemon_id: UUID,
        stack: EmbeddedStack,
        database: Database,
        client: Client,
        lease: HostLease,
        *,
        key: bytes,
    ) -> None:
        """``key`` is what events are signed with."""
        self._home = home
        self._settings = settings
        self._stack = stack
        self._database = database
        self._client = client
        self.lease = lease
        self._tmux = Tmux(home)
        self._runners = RunnerHost(home, self._tmux)
        self.monitor = HostMonitor(
            home,
            settings.host,
            daemon_id,
            database,
            client,
            self._runners,
            self._tmux,
            LostWorkflows(home, settings.host, database, client).go_on,
            interval=settings.monitor_interval_seconds,
        )
        self.broker = Broker(lambda: stack.rabbitmq_url, tls=TlsFiles.of(settings.rabbitmq))
        self._relay = Relay(stack.postgres_dsn, self.broker, key=key)
        self._here = Here(home, self._tmux, self.monitor)
        self.control = Control(
            home, settings.host, database, client, self._here, self.broker if settings.rabbitmq.enabled else None
        )
        self.limits = ConfiguredLimits(home, settings.host, database, client)
        self._starts_at_once = settings.starts_at_once or len(os.sched_getaffinity(0))
        self._activities = RunnerActivities(
            home,
            database,
            self._runners,
            self._tmux,
            self.monitor,
            Starts(self._starts_at_once, self.monitor.is_up),
        )

    def workers(self) -> list[Worker | PartTimeWorker]:
        """Temporal's workers of the queues that this host takes from."""
        home, host, client, database = self._home, self._settings.host, self._client, self._database
        admission, records = AdmissionActivities(database), RecordActivities(database)
        upkeep = UpkeepActivities(RegularUpkeep(home, host, database, client, self._here))
        periods = Resets(home, host, database, client)
        resets = ResetActivities({Resettable.QUOTAS: periods.reset_quotas, Resettable.BUDGETS: periods.reset_budgets})
        launches = ScheduleActivities(ScheduledLaunches(home, host, database, client, self._here).prepare_scheduled)
        exports, export = Exports(home, host, database, client), self._settings.export
        exported = ExportActivities(lambda due: exports.write_days(export.directory, export.format, due))
        return [
            PartTimeWorker(
                lambda: session_worker(client, admission, records),
                lambda: fencing.held(home) is not None,
                without="without a lease no session workflows are taken",
            ),
            PartTimeWorker(
                lambda: host_worker(client, host, self._activities, upkeep, launches, exported),
                lambda: self.lease.taken is None,
                without="what the host is asked for is left to the other daemon",
            ),
            PartTimeWorker(
                lambda: launch_worker(client, host, self._activities, self._starts_at_once),
                lambda: self.lease.taken is None,
                without="launches are left to the other daemon",
            ),
            upkeep_worker(client, upkeep, resets),
        ]

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """What is done beside the workers, for as long as the daemon runs."""
        home, host, client, database = self._home, self._settings.host, self._client, self._database
        lease, quotas = self.lease, self._settings.quotas
        failover = Failover(host, database, client, self._activities.receive)
        memory_grace = timedelta(seconds=quotas.memory_grace_seconds)
        memory = MemoryLimits(database, client, quotas.memory_action, memory_grace)
        health = Health(database, client, self.broker)
        jobs = [
            self.monitor.run(),
            every(SERVERS_SECONDS, self._stack.ensure),
            every(lease.interval, lease.keep),
            every(lease.interval, self._heed_lease),
            every(FENCE_SECONDS, Fence(home, self._runners).look),
            every(lease.interval, lease.unless_taken(failover.look)),
            every(BUDGETS_SECONDS, Budgets(host, database, client).look),
            every(MEMORY_SECONDS, memory.look),
            every(LIFT_SECONDS, AccountLimits(home, host, database, client).lift),
            every(REST_SECONDS, lease.unless_taken(Rest(home, host, database).look)),
            every(LOGS_SECONDS, lambda: asyncio.to_thread(trim_logs, home.logs)),
            until_done(lambda: keep_schedules(client, self._settings)),
            until_done(lambda: after_restore(home, self.control)),
            every(HEALTH_SECONDS, health.postgres),
            every(HEALTH_SECONDS, health.temporal),
        ]
        if self._settings.rabbitmq.enabled:
            jobs += [self._relay.run(), every(HEALTH_SECONDS, health.rabbitmq)]
        return jobs

    async def close(self) -> None:
        """Let go of what is open."""
        await self.monitor.close()
        await self.broker.close()
        self.lease.close()
        await self._database.close()

    async def _heed_lease(self) -> None:
        """What follows from a renewal. While another daemon has the host's name, let go of what has gone on there."""
        await self.lease.renewal()
        if self.lease.taken:
            await self.monitor.end_past()
            return
        await self.lease.tell(self.monitor.ending_runners())
        if self.lease.regained:
            await self.monitor.recover()
            self.lease.regained = False
