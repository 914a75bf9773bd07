"""The session workflow: admit, place, launch, supervise, decide, record, for as long as the session lives."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID, uuid5

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.admission import AdmissionActivities
    from activities.records import RecordActivities
    from activities.runners import RunnerActivities
    from stratavore.models.session import (
        Carried,
        GrantSignal,
        LiveRunner,
        PauseSignal,
        RestartSignal,
        ResumeSignal,
        SendSignal,
        SessionInput,
        TerminateSignal,
        Wish,
    )
    from stratavore.models.states import SessionState
    from stratavore.models.steps import (
        AdmitRequest,
        FindRequest,
        Found,
        Launched,
        LaunchRequest,
        Placed,
        PlaceRequest,
        Recorded,
        RecordRequest,
        RefuseRequest,
        RunnerExit,
        SendRequest,
        Sent,
        StopRequest,
        SuperviseRequest,
    )
    from stratavore.naming import host_queue, short, workflow_id
    from stratavore.search_attributes import HOST, STATE
    from workflows import timeouts
    from workflows.decisions import End, PutAway, Relaunch, decide, ended_on_request, state_after, status_after

REMEMBERED_REQUESTS = 64


@workflow.defn(name="Session")
class SessionWorkflow:
    """One conversation with an agent, whatever happens to the processes that it takes."""

    @workflow.init
    def __init__(self, start: SessionInput) -> None:
        carried = start.carried
        self._start = start
        self._wish = carried.wish
        self._force = carried.force
        self._step = carried.step
        self._launches = carried.launches
        self._crashes = carried.crashes
        self._seen = list(carried.seen)
        self._live = carried.live
        self._admitted = carried.admitted
        self._state = carried.state
        self._reason = carried.reason
        self._stopped = carried.stopped
        self._replaced = carried.replaced
        self._god = carried.god or (None if carried.step else start.god)
        self._ended_by = carried.ended_by
        self._resumed_at: int | None = None  # the latest resume that nothing took back: length of the history then
        self._woken = False
        self._typing = asyncio.Lock()
        self._prompted = carried.prompted or start.spec.prompt is None or start.spec.headless
        self._prompting: asyncio.Task[None] | None = None
        self._telling_again: asyncio.Task[Sent] | None = None

    @workflow.run
    async def run(self, start: SessionInput) -> str:
        """Live through every runner of the session. Returns why it ended."""
        self._describe()
        if not self._prompted:
            self._prompting = asyncio.create_task(self._give_prompt())
        if start.adopts:
            await self._adopt()
        while True:
            if self._state is SessionState.ENDED:
                await self._until(workflow.all_handlers_finished)
                if self._resumed_at is None:
                    return self._reason or "ended"
                await self._moment()
                if self._resumed_at is not None and workflow.all_handlers_finished():
                    self._begin_again()
            elif self._live:
                await self._supervise(self._live)
            elif await self._is_time_to_continue():
                self._continue()
            elif self._wish is Wish.TERMINATE:
                await self._record(ended_on_request(self._ended_by))
            elif self._wish is Wish.PAUSE:
                await self._rest()
            elif self._admitted:
                await self._launch()
            else:
                await self._admit()

    # What people ask for

    @workflow.signal
    def pause(self, signal: PauseSignal) -> None:
        """Put the session away."""
        if not self._is_new(signal.request_id):
            return
        self._resumed_at = None
        if self._wish is Wish.RUN:
            self._wish = Wish.PAUSE

    @workflow.signal
    def resume(self, signal: ResumeSignal) -> None:
        """Run a paused, parked or ended session again."""
        if not self._is_new(signal.request_id):
            return
        self._crashes = 0
        self._god = signal.god
        self._woken = self._woken or signal.god is not None  # one that waits in line is let past it
        if self._wish is Wish.PAUSE:
            self._wish = Wish.RUN
        # Postgres can show already that the session is parked or ended while this workflow has yet to hear of it.
        self._resumed_at = workflow.info().get_current_history_length()

    @workflow.signal
    def restart(self, signal: RestartSignal) -> None:
        """End a runner in favour of the next one, now or as soon as this workflow hears that it runs."""
        if self._is_new(signal.request_id):
            self._replaced = max(self._replaced, signal.generation)

    @workflow.signal
    def terminate(self, signal: TerminateSignal) -> None:
        """End the session. Only a later resume takes this back, once it has ended."""
        if self._is_new(signal.request_id):
            self._end()
            self._force = self._force or signal.force
            self._ended_by = self._ended_by or signal.god

    @workflow.signal
    async def send(self, signal: SendSignal) -> None:
        """Type text into the live runner's terminal; texts are typed one after the other, in the order they came."""
        if not self._is_new(signal.request_id):
            return
        if signal.answer:  # it may be what the texts before it wait for
            refusal = await self._type(signal)
        else:
            async with self._typing:
                refusal = await self._type(signal)
        if refusal:
            await workflow.execute_local_activity_method(
                RecordActivities.refuse,
                RefuseRequest(
                    request_id=signal.request_id,
                    session_id=self._start.session_id,
                    kind="send",
                    reason=refusal,
                ),
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
            )

    @workflow.signal
    def grant(self, _: GrantSignal) -> None:
        """A slot may be there: look."""
        self._woken = True

    # The loop's steps

    async def _adopt(self) -> None:
        """Take over the runner that this session's workflow left when it was terminated by hand, if there is one."""
        found = await self._find()
        if found.live:
            self._admitted = True
            # Placed it is; a launch sees to it that it is started and watched as well.
            await self._run(found.live)

    async def _find(self) -> Found:
        """The runner of this session that has not ended, by Postgres."""
        found: Found = await self._settled(
            workflow.start_local_activity_method(
                AdmissionActivities.find,
                FindRequest(session_id=self._start.session_id),
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
            )
        )
        return found

    async def _admit(self) -> None:
        """Take a slot, or wait in line until something changes."""
        self._woken = False
        admission = await self._settled(
            workflow.start_local_activity_method(
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
                ),
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
                summary="take a slot",
            )
        )
        await self._wake(admission.grants)
        self._admitted = admission.granted
        if admission.granted:
            self._god = None
        if not admission.granted:
            because = f"; it {admission.reason}" if admission.reason else ""
            self._show(SessionState.QUEUED, f"place {admission.position} in line{because}")
            await self._until(
                lambda: self._woken or self._wish is not Wish.RUN or self._may_continue(),
                timeout=timeouts.NEXT_LOOK_FOR_SLOT,
            )

    async def _launch(self) -> None:
        """Place and start the next runner."""
        placed: Placed = await self._settled(
            workflow.start_local_activity_method(
                AdmissionActivities.place,
                PlaceRequest(
                    session_id=self._start.session_id,
                    step=self._next_step("place"),
                    host=self._start.host,
                    relaunch=self._launches > 0 or self._start.resumes,
                ),
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
                summary="choose a host",
            )
        )
        self._admitted = placed.holds_slot
        if not placed.holds_slot:
            return  # it was given back by a step of which a dead worker said nothing: take one again
        placement = placed.placement
        if placement is None:
            await self._look_again("no host is up")
        else:
            await self._run(
                LiveRunner(runner_id=placement.runner_id, generation=placement.generation, host=placement.host)
            )

    async def _run(self, live: LiveRunner) -> None:
        """Have a runner started, or adopted if its process lives."""
        self._launches += 1
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
            task_queue=host_queue(live.host),
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
        self._show(SessionState.RUNNING, None)
        if launched.unheard is not None:
            request_id = str(uuid5(UUID(self._start.session_id), live.runner_id))
            again = self._have_typed(SendSignal(request_id=request_id, text=launched.unheard), live, patient=True)
            self._telling_again = asyncio.create_task(again)

    async def _call_off(self, launch: "workflow.ActivityHandle[Launched]", live: LiveRunner) -> None:
        """Give up a launch that does not succeed and that nobody wishes any more, with whatever it may have started."""
        launch.cancel()
        await self._until(launch.done)
        if (await self._find()).started:
            self._live = live  # by a try that could not say so: it is ended in order
        else:
            await self._until(self._stop(live).done, timeout=timeouts.LAUNCH)

    async def _give_prompt(self) -> None:
        """Have the agent told what the session was launched with: once, whichever of its runners is ready first."""
        signal = SendSignal(
            request_id=str(uuid5(UUID(self._start.session_id), "prompt")), text=self._start.spec.prompt or ""
        )
        while not self._prompted:
            await workflow.wait_condition(lambda: self._live is not None and self._wish is Wish.RUN)
            if self._live:
                sent = await self._have_typed(signal, self._live, patient=True)
                self._prompted = sent.typed or sent.refused
            if not self._prompted:
                await workflow.sleep(timeouts.NEXT_LOOK_FOR_HOST)

    async def _look_again(self, reason: str) -> None:
        """No runner can be started now: say why, and let a while pass."""
        self._show(SessionState.QUEUED, reason)
        await self._until(lambda: self._wish is not Wish.RUN, timeout=timeouts.NEXT_LOOK_FOR_HOST)

    async def _supervise(self, live: LiveRunner) -> None:
        """Wait for the runner's end, have it stopped when people wish it, and do what follows. Or continue as new."""
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
            stop = self._stopped or self._wish is not Wish.RUN or live.generation <= self._replaced
            return (stop and asked is None) or (self._force and asked is False)

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

    async def _settle(self, end: RunnerExit) -> None:
        """Decide what follows from a runner's end, record it, and do it."""
        now = workflow.info().get_current_history_length()
        decision = decide(
            end,
            wish=self._wish,
            ended_by=self._ended_by,
            stopped=self._stopped,
            launches=self._launches,
            crashes=self._crashes,
            policy=self._start.policy,
            headless=self._start.spec.headless,
        )
        self._live = None
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

    async def _rest(self) -> None:
        """Be paused or parked until somebody asks for something else."""
        if self._admitted or self._state not in (SessionState.PAUSED, SessionState.PARKED):
            await self._record(PutAway(parked=False, reason=None))
        await self._until(lambda: self._wish is not Wish.PAUSE or self._may_continue())

    def _begin_again(self) -> NoReturn:
        """Take up the session that ended in this run: in a new one, which can be cancelled anew."""
        self._wish, self._force, self._launches, self._ended_by = Wish.RUN, False, 0, None
        self._resumed_at = None
        self._start = self._start.model_copy(update={"resumes": True})
        self._show(SessionState.QUEUED, None)
        self._continue()

    async def _record(self, decision: Relaunch | PutAway | End, end: RunnerExit | None = None) -> Recorded:
        """Write the decision with all that follows from it, then wake those who got a slot by it.

        If a worker died right after the commit and a signal came in before the next one, the decision can be another
        one now. What was written counts: the loop goes on from there.
        """
        state = state_after(decision)
        recorded: Recorded = await self._settled(
            workflow.start_local_activity_method(
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
                ),
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
                summary=f"record: {state}",
            )
        )
        self._admitted = self._admitted and not recorded.released
        self._show(recorded.state, decision.reason)
        await self._wake(recorded.grants)
        return recorded

    async def _wake(self, sessions: Sequence[str]) -> None:
        """Tell sessions that they hold a slot now. One that has closed meanwhile cannot hear it."""
        await self._settled(
            asyncio.gather(
                *(
                    workflow.get_external_workflow_handle(workflow_id(session)).signal(
                        SessionWorkflow.grant, GrantSignal()
                    )
                    for session in sessions
                ),
                return_exceptions=True,
            )
        )

    async def _type(self, signal: SendSignal) -> str | None:
        """Have the text typed. Returns why it was not."""
        # The row says "running" a moment before this workflow hears of it; and the first words come first.
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    (self._live is not None and (self._prompted or signal.answer))
                    or self._wish is not Wish.RUN
                    or self._state is SessionState.ENDED
                ),
                timeout=timeouts.SEND,
            )
        if not self._live or self._wish is not Wish.RUN:
            return f"the session is {'about to stop' if self._live else self._state}, nothing can be typed"
        if not self._prompted and not signal.answer:
            return "the agent has not taken its first prompt yet; look at its terminal"
        sent = await self._have_typed(signal, self._live, patient=False)
        # A refusal was written down where it was found; what is left is a host that says nothing.
        return None if sent.typed or sent.refused else sent.reason

    async def _have_typed(self, signal: SendSignal, live: LiveRunner, *, patient: bool) -> Sent:
        """Have a text typed into a runner's terminal by its host."""
        patience = timeouts.READY_FOR_PROMPT if patient else timeouts.READY
        try:
            sent: Sent = await workflow.execute_activity_method(
                RunnerActivities.send,
                SendRequest(
                    request_id=signal.request_id,
                    session_id=self._start.session_id,
                    runner_id=live.runner_id,
                    project_id=self._start.project_id,
                    text=signal.text,
                    enter=signal.enter,
                    agent=self._start.spec.agent,
                    answer=signal.answer,
                    patience=patience,
                    patient=patient,
                ),
                task_queue=host_queue(live.host),
                schedule_to_close_timeout=patience + timeouts.SEND,
                start_to_close_timeout=patience + timeouts.TYPE,
                heartbeat_timeout=timeouts.TYPE_HEARTBEAT,
                summary="type text",
            )
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError):
                return Sent(typed=False, reason=error.cause.message)
            return Sent(typed=False, reason="its host did not answer in time; the text may have been typed")
        return sent

    # How it waits, and what it shows

    async def _until(self, condition: Callable[[], bool], timeout: timedelta | None = None) -> None:
        """Wait for a condition, at most ``timeout``. A cancellation from outside becomes the wish to end."""
        while True:
            try:
                await workflow.wait_condition(condition, timeout=timeout)
            except TimeoutError:
                return
            except asyncio.CancelledError:
                self._end()
                continue
            return

    async def _settled(self, effect: "asyncio.Future[Any]") -> Any:
        """The result of an effect that a cancellation must not tear: it ends in order, then the session does."""
        await self._until(effect.done)
        return effect.result()

    def _end(self) -> None:
        """Wish for the end, whatever was asked for before."""
        self._wish = Wish.TERMINATE
        self._resumed_at = None

    def _next_step(self, name: str) -> str:
        """The key of the next keyed effect; the same when the history is replayed."""
        self._step += 1
        return f"{workflow.info().first_execution_run_id}/{self._step}/{name}"

    def _is_new(self, request_id: str) -> bool:
        """Whether a request was not seen before."""
        if request_id in self._seen:
            return False
        self._seen = [*self._seen[1 - REMEMBERED_REQUESTS :], request_id]
        return True

    def _show(self, state: SessionState, reason: str | None) -> None:
        """Change the state that the Web UI and searches show."""
        changed = state is not self._state or (self._live is not None and state is SessionState.RUNNING)
        self._state, self._reason = state, reason
        if changed:
            updates = [STATE.value_set(str(state))]
            if self._live:
                updates.append(HOST.value_set(self._live.host))
            workflow.upsert_search_attributes(updates)
        self._describe()

    def _describe(self) -> None:
        spec = self._start.spec
        lines = [
            f"**{self._state}**" + (f": {self._reason}" if self._reason else ""),
            "",
            f"- project `{self._start.project}`, agent `{spec.agent}`, in `{spec.cwd}`",
            # Also in the static summary, which is lost when the run continues as new.
            f"- runs `{' '.join(spec.argv) or spec.agent}`",
        ]
        if self._live:
            lines.append(f"- runner {self._live.generation} on host `{self._live.host}`")
        if self._crashes:
            lines.append(f"- {self._crashes} crashes in a row")
        lines.append(f"- attach: `stratavore attach {short(self._start.session_id)}`")
        workflow.set_current_details("\n".join(lines))

    def _may_continue(self) -> bool:
        """Whether the history is long, no signal is being handled, and more is left to do than to end."""
        info = workflow.info()
        length = self._start.policy.history_length
        long = info.is_continue_as_new_suggested() or (
            length is not None and info.get_current_history_length() >= length
        )
        goes_on = self._live is not None or self._wish is not Wish.TERMINATE
        told = (self._prompted or self._live is None) and (self._telling_again is None or self._telling_again.done())
        return long and goes_on and told and workflow.all_handlers_finished()

    async def _is_time_to_continue(self) -> bool:
        """Whether to continue as new, once everything is heard that this run was told."""
        if not self._may_continue():
            return False
        await self._moment()
        return self._may_continue()

    async def _moment(self) -> None:
        """Come back in another workflow task, before this run ends in favour of the next one.

        Signals are run before the other news of the same task. One that leads to the next run at once would lose a
        runner's end, or a cancellation, that came with it.
        """
        await self._settled(asyncio.ensure_future(workflow.sleep(timeouts.MOMENT)))

    def _continue(self) -> NoReturn:
        carried = Carried(
            wish=self._wish,
            force=self._force,
            step=self._step,
            launches=self._launches,
            crashes=self._crashes,
            seen=tuple(self._seen),
            live=self._live,
            admitted=self._admitted,
            prompted=self._prompted,
            state=self._state,
            reason=self._reason,
            stopped=self._stopped,
            replaced=self._replaced,
            god=self._god,
            ended_by=self._ended_by,
        )
        workflow.continue_as_new(
            self._start.model_copy(update={"carried": carried, "adopts": False}),
            task_timeout=timeouts.WORKFLOW_TASK,
        )
