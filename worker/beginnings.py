"""What a daemon does once after its start, however often it has to be tried."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client

from stratavore.config.settings import Settings
from stratavore.control import Control
from stratavore.killpoints import effect
from stratavore.paths import Home
from stratavore.servers import export_schedule, schedules

log = logging.getLogger("stratavored")


async def keep_schedules(client: Client, settings: Settings) -> None:
    """Make Temporal's schedules of upkeep, resets and exports as the settings want them."""
    with effect("schedules.keep"):
        await schedules.keep(client, settings.host, timedelta(seconds=settings.reconcile_interval_seconds))
        await export_schedule.keep(client, settings.host, wanted=settings.export.directory is not None)


async def after_restore(home: Home, control: Control) -> None:
    """After a restore Temporal knows no session: their workflows are started again at once."""
    if await asyncio.to_thread(home.restored_file.exists):
        found = await control.reconcile()
        log.info("after a restore: %d differences, workflows started again", len(found.differences))
        with effect("restore.reconciled"):
            await asyncio.to_thread(home.restored_file.unlink)
