"""How a session comes to a runner: a slot, a host, a launch."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.admission import AdmissionActivities
from activities.runners import RunnerActivities
from stratavore.models.session import Hold, LiveRunner, Wish
from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.steps import AdmitRequest, FindRequest, Found, Launched, LaunchRequest, PlaceRequest
from stratavore.naming import launch_queue
from stratavore.quotas import NO_SLOT
from workflows import timeouts
from workflows.decisions import End, Withhold, withheld
from workflows.session.supervising import Supervising
from workflows.session.texts import Texts


class Launching(Supervising, Texts):
    """The way from nothing to a live runner, taken anew after each end."""

    async def _adopt(self) -> None:
        """Take over the runner that this session's workflow left when it was terminated by hand, if there is one."""
        found = await self._find()
        if found.live:
            self._admitted = True
            # Placed it is; a launch sees to it that it is started and watched as well.
            await self._run(found.live)

    async def _find(self) -> Found:
        """The runner of this session that has not ended, by Postgres."""
        return await self._commit(
            AdmissionActivities.find, FindRequest(session_id=self._start.session_id), "ask for its runner"
        )

    async def _admit(self) -> None:
        """Take a slot, or wait in line until something changes."""
        self._woken = False
        admission = await self._commit(
            AdmissionActivities.admit,
            AdmitRequest(
                session_id=self._start.session_id,
                step=self._next_step("admit"),
                incarnation=workflow.info().first_execution_run_id,
                project_id=self._start.project_id,
                project=self._start.project,
                spec=self._start.spec,
                resumes=self._start.resumes,
                god=self._god,
                no_queue=self._start.no_queue and self._launches == 0 and not self._start.resumes,
            ),
            "take a slot",
        )
        await self._wake(admission.grants)
        self._admitted = admission.granted
        if admission.granted:
            self._god = None
        if admission.hold:
            await self._wait_out(admission.hold)
        elif admission.refused is not None:
            await self._record(End(f"{NO_SLOT}: {admission.refused}", RunnerStatus.FAILED))
        elif not admission.granted:
            because = f"; it {admission.reason}" if admission.reason else ""
            self._show(SessionState.QUEUED, f"place {admission.position} in line{because}")
            await self._until(
                lambda: self._woken or self._wish is not Wish.RUN or self._may_continue(),
                timeout=timeouts.NEXT_LOOK_FOR_SLOT,
            )

    async def _wait_out(self, hold: Hold) -> None:
        """Be held by a limit, which Postgres has written down, until it is worth asking again."""
        if not isinstance(withheld(hold), Withhold):
            await self._withhold(hold)
            return
        self._show(hold.state, hold.reason)
        left = max(hold.until - workflow.now(), timeouts.MOMENT) if hold.until else None
        await self._until(
            lambda: self._woken or self._wish is not Wish.RUN or self._may_continue(),
            timeout=left,
        )

    async def _launch(self) -> None:
        """Place and start the next runner."""
        self._woken = False  # by a host that takes runners from now on
        placed = await self._commit(
            AdmissionActivities.place,
            PlaceRequest(
                session_id=self._start.session_id,
                step=self._next_step("place"),
                host=self._start.host,
                relaunch=self._launches > 0 or self._start.resumes,
                destination=self._destination,
            ),
            "choose a host",
        )
        self._admitted = placed.holds_slot
        if not placed.holds_slot:
            return  # it was given back by a step of which a dead worker said nothing: take one again
        placement = placed.placement
        if placement is None:
            await self._look_again(placed.reason or "no host is up", timeouts.NEXT_LOOK_WITHOUT_HOST)
        else:
            await self._run(
                LiveRunner(runner_id=placement.runner_id, generation=placement.generation, host=placement.host)
            )

    async def _run(self, live: LiveRunner) -> None:
        """Have a runner started, or adopted if its process lives."""
        self._launches += 1
        self._actions += 1
        self._stopped = False
        launch = workflow.start_activity_method(
            RunnerActivities.launch,
            LaunchRequest(
                runner_id=live.runner_id,
                session_id=self._start.session_id,
                generation=live.generation,
                project_id=self._start.project_id,
                project=self._start.project,
                spec=self._start.spec,
                resume=live.generation > 1,
            ),
            task_queue=launch_queue(live.host),
            start_to_close_timeout=timeouts.LAUNCH,
            heartbeat_timeout=timeouts.LAUNCH_HEARTBEAT,
            retry_policy=timeouts.FOR_EVER,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"start runner {live.generation} on {live.host}",
        )
        await self._until(lambda: launch.done() or self._wish is not Wish.RUN)
        if not launch.done():
            # Nearly every launch is over in a moment, and its runner is then ended like any other.
            await self._until(launch.done, timeout=timeouts.CALL_OFF)
        if not launch.done():
            await self._call_off(launch, live)
            return
        try:
            launched: Launched = launch.result()
        except ActivityError as error:  # refused for good: another generation is the current one
            await self._look_again(error.cause.message if isinstance(error.cause, ApplicationError) else str(error))
            return
        self._live = live
        if launched.end:
            await self._settle(launched.end)
            return
        self._arrive(live)
        self._show(SessionState.RUNNING, None)
        if launched.unheard is not None:
            self._tell_again(launched.unheard, live)

    async def _call_off(self, launch: "workflow.ActivityHandle[Launched]", live: LiveRunner) -> None:
        """Give up a launch that does not succeed and that nobody wishes any more, with whatever it may have started."""
        launch.cancel()
        await self._until(launch.done)
        if (await self._find()).started:
            self._live = live  # by a try that could not say so: it is ended in order
        else:
            await self._until(self._stop(live).done, timeout=timeouts.LAUNCH)

    async def _look_again(self, reason: str, after: timedelta = timeouts.NEXT_LOOK_FOR_HOST) -> None:
        """No runner can be started now: say why, and let a while pass, or less if a host is there."""
        self._show(SessionState.QUEUED, reason)
        await self._until(lambda: self._woken or self._wish is not Wish.RUN, timeout=after)
