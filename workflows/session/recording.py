"""What follows from the end of a runner, written down in one transaction, and who is woken by it."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow

from activities.records import RecordActivities
from stratavore.models.session import GrantSignal, Hold, Wish
from stratavore.models.states import ExitKind, SessionState
from stratavore.models.steps import Recorded, RecordRequest, RunnerExit
from stratavore.naming import workflow_id
from workflows import patches
from workflows.decisions import Decision, PutAway, Relaunch, Withhold, decide, state_after, status_after, withheld
from workflows.session.moving import Moving


class Recording(Moving):
    """Ends and rests."""

    async def _settle(self, end: RunnerExit) -> None:
        """Decide what follows from a runner's end, record it, and do it."""
        now = workflow.info().get_current_history_length()
        back = self._go_back(end)
        decision = back or decide(
            end,
            wish=self._wish,
            ended_by=self._ended_by,
            stopped=self._stopped,
            launches=self._launches,
            crashes=self._crashes,
            policy=self._start.policy,
            headless=self._start.spec.headless,
            hold=self._hold,
            kills_park=lambda: not workflow.patched(patches.KILLS_DO_NOT_PARK),
        )
        if not back and self._destination is None and end.kind is not ExitKind.REFUSED:
            self._left = None  # it has lived where it arrived
        if isinstance(decision, Relaunch) and self._live and not back:
            decision = self._depart(decision, self._live.host)
        self._live = self._hold = None  # whether the limit still holds it, its next admission asks
        if isinstance(decision, PutAway):
            self._wish = Wish.PAUSE  # before people can see it, so that a resume from then on counts
        if isinstance(decision, Relaunch):
            self._crashes = decision.crashes
        recorded = await self._record(decision, end)
        if self._resumed_at is not None and self._resumed_at <= now:
            if not recorded.repeated or self._resumed_at < now:
                self._resumed_at = None  # it asked a live runner to be what it was
            elif self._wish is Wish.PAUSE:
                # A dead worker had recorded it; this one heard of the end and of the resume that followed at once.
                self._wish = Wish.RUN
        if isinstance(decision, Relaunch) and self._state is SessionState.RECOVERING and decision.after:
            await self._until(lambda: self._wish is not Wish.RUN, timeout=decision.after)

    async def _withhold(self, hold: Hold) -> None:
        """Record what a limit makes of a session that has no runner."""
        self._hold = None
        decision = withheld(hold)
        if isinstance(decision, PutAway):
            self._wish = Wish.PAUSE
        recorded = await self._record(decision)
        if recorded.live:
            self._hold = hold
            if isinstance(decision, PutAway) and self._wish is Wish.PAUSE:
                self._wish = Wish.RUN  # the hold puts it away, once its runner has ended

    async def _rest(self) -> None:
        """Be paused or parked until somebody asks for something else."""
        self._hold = None
        if self._admitted or self._state not in (SessionState.PAUSED, SessionState.PARKED):
            await self._record(PutAway(parked=False, reason=None))
        if not self._live:
            await self._until(lambda: self._wish is not Wish.PAUSE or self._may_continue())

    async def _record(self, decision: Decision, end: RunnerExit | None = None) -> Recorded:
        """Write the decision with all that follows from it, then wake those who got a slot by it.

        If a worker died right after the commit and a signal came in before the next one, the decision can be another
        one now. What was written counts: the loop goes on from there.
        """
        state = state_after(decision)
        recorded = await self._commit(
            RecordActivities.record,
            RecordRequest(
                session_id=self._start.session_id,
                step=self._next_step("record"),
                project=self._start.project,
                state=state,
                reason=decision.reason,
                release=not isinstance(decision, Relaunch),
                exit=end,
                status=status_after(decision) if end else None,
                hold=decision.hold if isinstance(decision, Withhold) else None,
            ),
            f"record: {state}",
        )
        self._admitted = self._admitted and not recorded.released
        self._live = recorded.live  # it is ended in order, and then this is decided anew
        self._show(recorded.state, decision.reason)
        await self._wake(recorded.grants)
        return recorded

    async def _wake(self, sessions: Sequence[str]) -> None:
        """Tell sessions that they hold a slot now. One that has closed meanwhile cannot hear it."""
        self._actions += len(sessions)
        await self._settled(
            asyncio.gather(
                *(
                    workflow.get_external_workflow_handle(workflow_id(session)).signal("grant", GrantSignal())
                    for session in sessions
                ),
                return_exceptions=True,
            )
        )
