"""Budgets that sessions run into, on a real daemon: they are put away, and go on."""

import os
import uuid
from typing import Any

import pytest
from temporalio.service import RPCError

from cli.client import Unanswered
from stratavore.errors import RemoteError
from stratavore.naming import budgets_reset, workflow_id
from stratavore.runtime.processes import identify
from stratavore.servers import schedules
from tests.integration.reconcile.test_schedules import described, run
from tests.integration.worker.watching import generation, running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until


async def set_budget(daemon: DaemonProcess, target: str, **params: Any) -> dict[str, Any]:
    wanted = {"unit": "tokens", "amount": "100", "period": "daily", "grace_s": 0} | params
    (found,) = await daemon.call("set_budget", target=target, **wanted)
    return dict(found)


async def spend(daemon: DaemonProcess, session: str, tokens: int) -> None:
    """Charge a session as a reply of its agent does."""
    await daemon.fetch(
        "SELECT charge_budgets(ARRAY[$1::uuid], ARRAY[now()], ARRAY[$2::bigint], ARRAY[0::numeric])", session, tokens
    )


async def told(daemon: DaemonProcess, kind: str) -> list[dict[str, Any]]:
    return [one["data"] for one in await daemon.call("list_events", pattern=f"{kind}.#")]


async def test_a_session_whose_budget_is_used_up_is_put_away_and_goes_on_in_the_next_period(
    daemon: DaemonProcess,
) -> None:
    session, process = await running(daemon, ["cat"])
    budget = await set_budget(daemon, session, period="weekly")
    await spend(daemon, session, 80)
    await until_told(daemon, "budget.warning")
    await spend(daemon, session, 40)
    view = await daemon.wait(session, "limited")
    assert view["reason"].startswith(
        "its budget of 100 tokens a week is used up (120 tokens were used); it goes on at "
    )
    assert identify(process.pid) != process
    assert not await daemon.fetch("SELECT FROM admissions")
    (exceeded,) = await told(daemon, "budget.exceeded")
    assert (exceeded["budget_id"], exceeded["used"], exceeded["amount"]) == (budget["budget_id"], 120, 100)
    assert (await daemon.call("show_budgets"))[0]["held"] == 1
    schedule = budgets_reset("weekly", "UTC")
    await described(daemon, schedule)
    assert (await run(daemon, schedule)).endswith(": 0 sessions let in")
    await daemon.fetch("UPDATE budget_periods SET starts_at = starts_at - interval '1 week'")  # a week passes
    assert (await run(daemon, schedule)).endswith(": 1 session let in")
    await daemon.wait_for_generation(session, 2)
    (begun,) = await told(daemon, "budget.reset")
    assert begun["starts_at"] == budget["starts_at"].replace("Z", "+00:00")  # told by the first run, and not again


async def test_a_budget_that_was_raised_tells_its_next_end_too(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    for amount, more in (("100", 100), ("1000", 900)):
        await set_budget(daemon, session, amount=amount, action="warn")
        await spend(daemon, session, more)

        async def both() -> bool:
            return amount in {f"{one['amount']:.0f}" for one in await told(daemon, "budget.exceeded")}  # noqa: B023

        await answer(both, what=f"the end of a budget of {amount}")


async def until_told(daemon: DaemonProcess, kind: str) -> None:
    async def look() -> bool:
        return bool(await told(daemon, kind))

    await answer(look, what=f"an event {kind}")


async def test_a_busy_agent_has_its_grace_and_no_more(daemon: DaemonProcess) -> None:
    session, process = await running(daemon, ["sh", "-c", "while :; do echo work; sleep 0.2; done"])

    async def busy() -> bool:
        return bool(await daemon.fetch("SELECT FROM runners WHERE activity = 'busy'"))

    await answer(busy, what="an agent at work")
    await set_budget(daemon, session, grace_s=3600)
    await spend(daemon, session, 100)
    await until_told(daemon, "budget.exceeded")
    assert identify(process.pid) == process
    await daemon.fetch("UPDATE budgets SET grace = '0 s'")
    await daemon.wait(session, "limited")
    assert identify(process.pid) != process


async def test_who_asks_goes_on_once_more_is_approved_and_rests_once_it_is_denied(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    project = (await daemon.call("list_sessions"))[0]["project"]
    with pytest.raises(RemoteError, match=f"No budget holds '{project}'"):
        await daemon.call("approve", target=project, request_id=str(uuid.uuid4()))
    for wrong in ({"amount": "5"}, {"amount": "-5", "unit": "tokens"}, {"amount": "x", "unit": "usd"}, {"unit": "eur"}):
        with pytest.raises(RemoteError) as refused:
            await daemon.call("approve", target=session, request_id=str(uuid.uuid4()), **wrong)
        assert refused.value.code == "invalid_input"
    await set_budget(daemon, project, action="ask")
    await spend(daemon, session, 150)
    view = await daemon.wait(session, "asking")
    assert view["reason"].endswith(f"let it go on with: stratavore approve {session[:8]}")
    with pytest.raises(RemoteError, match="is asking, so it cannot be resumed"):
        await daemon.command(session, "resume")
    request = str(uuid.uuid4())
    for _ in range(2):  # asked again, nothing is given again
        (budget,) = await daemon.call("approve", target=session, request_id=request, unit="tokens", amount="30")
        assert (budget["amount"], budget["extra"], budget["used"]) == (100, 80, 150)
    await daemon.wait_for_generation(session, 2)
    await spend(daemon, session, 30)
    await daemon.wait(session, "asking", generation=2)
    assert await daemon.call("deny", target=project, request_id=str(uuid.uuid4())) == [session]
    view = await daemon.wait(session, "paused")
    assert view["reason"].startswith("more was denied; run it again with: stratavore resume ")
    await daemon.command(session, "resume")
    await daemon.wait(session, "asking")
    await daemon.call("approve", target="all", request_id=str(uuid.uuid4()))
    await daemon.wait_for_generation(session, 3)
    assert len(await told(daemon, "budget.approved")) == 2


async def test_who_asks_and_has_no_workflow_any_more_rests_once_it_is_denied(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    await set_budget(daemon, session, action="ask")
    await spend(daemon, session, 100)
    await daemon.wait(session, "asking")
    await (await daemon.client()).get_workflow_handle(workflow_id(session)).terminate()
    assert await daemon.call("deny", target=session, request_id=str(uuid.uuid4())) == [session]
    view = await daemon.wait(session, "paused")
    assert view["reason"].startswith("more was denied; run it again with: stratavore resume ")


async def test_a_budget_can_end_sessions(daemon: DaemonProcess) -> None:
    session, process = await running(daemon, ["cat"])
    await set_budget(daemon, "global", action="terminate")
    await spend(daemon, session, 100)
    view = await daemon.wait(session, "ended")
    assert view["reason"] == "the budget of 100 tokens a day is used up"
    assert identify(process.pid) != process
    (other,) = await daemon.launch(await daemon.project(["cat"]))
    assert (await daemon.wait(other, "ended"))["reason"] == "the budget of 100 tokens a day is used up"


async def test_an_operator_lets_a_held_session_go_on(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    await set_budget(daemon, "global")
    await spend(daemon, session, 100)
    await daemon.wait(session, "limited")
    operator = {"id": str(uuid.uuid4()), "user": "ann", "uid": os.getuid(), "host": "h"}
    await daemon.command(session, "resume", god=operator)
    await daemon.wait_for_generation(session, 2)
    await spend(daemon, session, 10)
    (other,) = await daemon.launch(await daemon.project(["cat"]))
    await daemon.wait(other, "limited")  # a second look of the daemon has passed by the first one
    _, process = await generation(daemon, session, 2)
    assert identify(process.pid) == process


async def test_raising_or_taking_away_a_budget_lets_everyone_go_on(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    await set_budget(daemon, "global")
    await spend(daemon, session, 0)
    await daemon.fetch("UPDATE budget_periods SET used = 100")
    await daemon.wait(session, "limited")
    await daemon.call("unset_budget", target="global")
    await daemon.wait_for_generation(session, 2)
    with pytest.raises(RemoteError, match="'global' has no such budget"):
        await daemon.call("unset_budget", target="global")


async def test_a_budget_that_is_set_amid_upkeep_has_its_schedule(daemon: DaemonProcess) -> None:
    client = await daemon.client()
    stale, wanted = budgets_reset("monthly", "UTC"), budgets_reset("daily", "UTC")
    await schedules.have_resets(client, [("monthly", "UTC"), ("daily", "UTC")])  # of budgets that are no more

    async def both_are_listed() -> bool:
        return {stale, wanted} <= {one.id async for one in await client.list_schedules()}

    await answer(both_are_listed, what="both in the list, which knows them a moment late")

    async def clocks() -> list[tuple[str, str]]:
        found = await daemon.fetch("SELECT period, timezone FROM budgets")
        if not found:
            await set_budget(daemon, "global", period="daily")
        return [(row["period"], row["timezone"]) for row in found]

    await schedules.keep_resets(client, clocks)
    await client.get_schedule_handle(wanted).describe()
    with pytest.raises(RPCError, match="not found"):
        await client.get_schedule_handle(stale).describe()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_daemon_that_dies_over_a_hold_puts_the_session_away_once(
    daemon_process: DaemonProcess, moment: str
) -> None:
    daemon = daemon_process
    await daemon.start(kill_at=f"hold.signal.{moment}")
    session, _ = await running(daemon, ["cat"])
    await set_budget(daemon, session)
    await spend(daemon, session, 100)
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()
    await daemon.wait(session, "limited")
    await daemon.call("reset_budget", target=session, request_id=str(uuid.uuid4()))
    await daemon.wait_for_generation(session, 2)
    rows = await daemon.fetch("SELECT type FROM events WHERE session_id = $1 AND type = 'session.limited'", session)
    assert len(rows) == 1


async def test_an_approval_whose_daemon_dies_before_it_told_anybody_is_told_by_the_next_upkeep(
    daemon_process: DaemonProcess,
) -> None:
    daemon = daemon_process
    await daemon.start(kill_at="budget.approve.after")
    session, _ = await running(daemon, ["cat"])
    await set_budget(daemon, session, action="ask")
    await spend(daemon, session, 100)
    await daemon.wait(session, "asking")
    with pytest.raises(Unanswered):
        await daemon.call("approve", target=session, request_id=str(uuid.uuid4()))
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()
    await described(daemon, "upkeep-servers")
    await run(daemon, "upkeep-servers")
    await daemon.wait_for_generation(session, 2)
