"""Upkeep by schedules: there after a start, done when it is time, and as people leave it."""

import asyncio
from typing import Any

import pytest
from temporalio.client import ScheduleDescription, ScheduleHandle, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore.naming import QUOTAS_RESET, UPKEEP_OF_SERVERS, upkeep_of_host, workflow_id
from stratavore.runtime.processes import Liveness, liveness
from stratavore.servers import schedules
from tests.integration.worker.watching import events, running, terminate_workflow
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until


async def handle(daemon: DaemonProcess, name: str = UPKEEP_OF_SERVERS) -> ScheduleHandle:
    return (await daemon.client()).get_schedule_handle(name)


async def described(daemon: DaemonProcess, name: str = UPKEEP_OF_SERVERS) -> ScheduleDescription:
    """The schedule, once there is one: the daemon answers a moment before."""
    schedule = await handle(daemon, name)

    async def look() -> ScheduleDescription | None:
        try:
            return await schedule.describe()
        except RPCError as error:
            assert error.status is RPCStatusCode.NOT_FOUND
            return None

    found = await answer(look, what=f"the schedule {name}")
    assert found is not None
    return found


async def run(daemon: DaemonProcess, name: str = UPKEEP_OF_SERVERS) -> str:
    """Have it done now, as a person does in the Web UI. Returns what was found."""
    before = (await described(daemon, name)).info.num_actions
    await (await handle(daemon, name)).trigger()

    async def begun() -> Any:
        info = (await described(daemon, name)).info
        return info.recent_actions[-1] if info.num_actions > before else None

    execution = (await answer(begun, what="a run")).action
    workflow = (await daemon.client()).get_workflow_handle(execution.workflow_id)
    async with asyncio.timeout(60):
        return str(await workflow.result())


async def test_there_is_one_of_the_servers_one_of_the_host_and_one_of_quotas_however_often_a_daemon_starts(
    daemon: DaemonProcess,
) -> None:
    own = upkeep_of_host(daemon.host)
    for name in (UPKEEP_OF_SERVERS, QUOTAS_RESET, own):
        await described(daemon, name)
    await daemon.restart()
    await described(daemon, own)
    listed = [one.id async for one in await (await daemon.client()).list_schedules()]

    async def all_of_them() -> bool:
        found = [one.id async for one in await (await daemon.client()).list_schedules()]
        return sorted(found) == sorted([UPKEEP_OF_SERVERS, QUOTAS_RESET, own])

    assert len(listed) <= 3
    await answer(all_of_them, what="all of them in the list, which knows them a moment late")


async def test_what_differs_is_mended_when_it_is_time(daemon: DaemonProcess) -> None:
    """Each part mends its own: the host's what lives there, the servers' the rest."""
    lives, agent = await running(daemon, ["cat"])
    rests, _ = await running(daemon, ["cat"])
    await daemon.command(rests, "pause")
    await daemon.wait(rests, "paused")
    for session in (lives, rests):
        await terminate_workflow(daemon, session)
    assert await run(daemon) == "1 difference: 1 repaired"
    await daemon.wait(rests, "ended")
    assert await events(daemon, lives, "system.reconciled") == []
    assert await run(daemon, upkeep_of_host(daemon.host)) == "1 difference: 1 repaired"
    assert len(await events(daemon, lives, "system.reconciled")) == 1
    description = await (await daemon.client()).get_workflow_handle(workflow_id(lives)).describe()
    assert description.status is WorkflowExecutionStatus.RUNNING
    assert liveness(agent) is Liveness.ALIVE
    for name in (UPKEEP_OF_SERVERS, upkeep_of_host(daemon.host)):
        assert await run(daemon, name) == "nothing differed"


async def test_a_person_decides_what_becomes_of_a_schedule(daemon: DaemonProcess) -> None:
    own = upkeep_of_host(daemon.host)
    await described(daemon)
    await described(daemon, own)
    await (await handle(daemon)).pause(note="we look into something")
    await (await handle(daemon, own)).delete()
    daemon.kill()
    # Of another version, or with other settings.
    await daemon.start(settings={"STRATAVORE_RECONCILE_INTERVAL_SECONDS": "3600"})
    assert (await described(daemon, own)).schedule.state.paused is False

    async def hourly() -> ScheduleDescription | None:
        found = await described(daemon)
        (interval,) = found.schedule.spec.intervals
        return found if interval.every.total_seconds() == 3600 else None

    found = await answer(hourly, what="the interval of the daemon that started last")
    assert found is not None
    assert (found.schedule.state.paused, found.schedule.state.note) == (True, "we look into something")


async def test_a_daemon_that_dies_amid_upkeep_leaves_it_to_the_next(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await daemon.start(kill_at="upkeep.before")
    session, _ = await running(daemon, ["cat"])
    own = upkeep_of_host(daemon.host)
    await described(daemon, own)
    await terminate_workflow(daemon, session)
    await (await handle(daemon, own)).trigger()
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()

    async def mended() -> Any:
        return await events(daemon, session, "system.reconciled")

    assert len(await answer(mended, what="the repair by the next one", timeout=60)) == 1
    assert (await described(daemon, own)).info.num_actions == 1


async def test_a_host_that_is_away_delays_nobody(daemon: DaemonProcess) -> None:
    from datetime import timedelta

    client = await daemon.client()
    await schedules.keep(client, "away", timedelta(days=1))
    away = client.get_schedule_handle(upkeep_of_host("away"))
    for _ in range(3):
        await away.trigger()

    async def waits() -> Any:
        return (await away.describe()).info.running_actions

    (waiting,) = await answer(waits, what="a run that waits")
    assert await run(daemon) == "nothing differed"
    # One that is no more leaves nothing behind.
    for _ in range(2):
        await schedules.remove(client, "away")
    described = await client.get_workflow_handle(waiting.workflow_id).describe()
    assert described.status is WorkflowExecutionStatus.TERMINATED
    with pytest.raises(RPCError):
        await away.describe()
