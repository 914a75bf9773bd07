"""Going on on another host: it is asked first, and a session that it refuses after all goes back."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.runners import RunnerActivities
from stratavore.models.session import LiveRunner, MoveSignal
from stratavore.models.states import ExitKind, RunnerStatus
from stratavore.models.steps import Received, ReceiveRequest, RunnerExit
from stratavore.naming import host_queue
from workflows import patches, timeouts
from workflows.decisions import Relaunch
from workflows.session.showing import Showing


class Moving(Showing):
    """The way to another host, and back."""

    async def _refusal(self, signal: MoveSignal) -> str | None:
        """Why the session cannot go on where it is to move. Its runner goes on until that is known."""
        self._actions += 1
        try:
            received: Received = await workflow.execute_activity_method(
                RunnerActivities.receive,
                ReceiveRequest(session_id=self._start.session_id, host=signal.host, spec=self._start.spec),
                task_queue=host_queue(signal.host),
                schedule_to_close_timeout=timeouts.RECEIVE,
                start_to_close_timeout=timeouts.RECEIVE_TRY,
                retry_policy=timeouts.FOR_EVER,
                summary=f"ask {signal.host} whether it can go on with it",
            )
        except ActivityError:
            return f"the host {signal.host} did not answer within {timeouts.RECEIVE.total_seconds():.0f} s"
        return received.refusal

    def _depart(self, decision: Relaunch, host: str) -> Relaunch:
        """Leave a host for the one that the session moves to."""
        if self._destination in (None, host):
            return decision
        self._left = host
        return Relaunch(timedelta(0), decision.crashes, f"it moves to {self._destination}", decision.status)

    def _go_back(self, end: RunnerExit) -> Relaunch | None:
        """What follows when the host that it moved to cannot start it after all; None: that is not so."""
        if self._left is None or end.kind is not ExitKind.REFUSED:
            return None
        refuser = self._live.host if self._live else self._destination
        reason = f"{end.reason} on {refuser}; it goes back to {self._left}"
        self._destination, self._left = self._left, None
        return Relaunch(timedelta(0), self._crashes, reason, RunnerStatus.FAILED)

    def _arrive(self, live: LiveRunner) -> None:
        """It has begun: where it was to go, or where there was room after all. It may be refused all the same."""
        leaves = self._destination is not None and live.generation <= self._replaced  # asked while it began
        if leaves and workflow.patched(patches.MOVED_WHILE_IT_BEGAN):
            return
        self._destination = None
        if self._left is not None and not workflow.patched(patches.REFUSED_AFTER_ARRIVAL):
            self._left = None
