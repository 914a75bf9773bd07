"""Watching the live runner until it ends, and having it ended."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.runners import RunnerActivities
from stratavore.models.session import LiveRunner, Wish
from stratavore.models.steps import StopRequest, SuperviseRequest
from stratavore.naming import host_queue
from workflows import timeouts
from workflows.session.recording import Recording


class Supervising(Recording):
    """One runner at a time."""

    async def _supervise(self, live: LiveRunner) -> None:
        """Wait for the runner's end, have it stopped when people wish it, and do what follows. Or continue as new."""
        self._actions += 1
        watch = workflow.start_activity_method(
            RunnerActivities.supervise,
            SuperviseRequest(runner_id=live.runner_id, session_id=self._start.session_id, generation=live.generation),
            activity_id=live.runner_id,
            task_queue=host_queue(live.host),
            start_to_close_timeout=timeouts.SUPERVISE,
            heartbeat_timeout=timeouts.SUPERVISE_HEARTBEAT,
            # The first interval differs from session to session: after an outage all of them time out at once.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1 + 9 * workflow.random().random()),
                maximum_interval=timedelta(minutes=1),
            ),
            cancellation_type=workflow.ActivityCancellationType.ABANDON,
            summary=f"watch runner {live.generation} on {live.host}",
        )
        asked: bool | None = None  # to stop: with force, without, or not yet

        def must_ask() -> bool:
            # What the run before this one asked for may have ended with it.
            stop = self._stopped or self._wish is not Wish.RUN or self._hold or live.generation <= self._replaced
            return (bool(stop) and asked is None) or (self._force and asked is False)

        while not watch.done():
            if must_ask():
                asked = self._force
                self._stop(live)
            await self._until(lambda: watch.done() or must_ask() or self._may_continue())
            # An end that came to this run is never told to the next one.
            if await self._is_time_to_continue() and not watch.done():
                self._continue()
        await self._settle(await watch)

    def _stop(self, live: LiveRunner) -> "workflow.ActivityHandle[None]":
        """Have the runner's processes ended. What it achieves is told by the supervision."""
        self._stopped = True
        self._actions += 1
        return workflow.start_activity_method(
            RunnerActivities.stop,
            StopRequest(
                runner_id=live.runner_id,
                project_id=self._start.project_id,
                grace=self._start.policy.grace,
                force=self._force,
            ),
            task_queue=host_queue(live.host),
            start_to_close_timeout=self._start.policy.grace + timeouts.LAUNCH,
            heartbeat_timeout=timeouts.STOP_HEARTBEAT,
            retry_policy=timeouts.FOR_EVER,
            cancellation_type=workflow.ActivityCancellationType.ABANDON,
            summary="end its processes" + (" at once" if self._force else ""),
        )
