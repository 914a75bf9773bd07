"""What is typed into the agent: its first prompt, texts and answers."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid5

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.runners import RunnerActivities
from stratavore.models.session import LiveRunner, SendSignal, Wish
from stratavore.models.states import SessionState
from stratavore.models.steps import SendRequest, Sent
from stratavore.naming import host_queue
from workflows import patches, timeouts
from workflows.session.showing import Showing


class Texts(Showing):
    """Texts, one after the other."""

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

    def _tell_again(self, text: str, live: LiveRunner) -> None:
        """Have a runner told what the one before it was told and died with."""
        self._unheard = text
        self._telling_again = asyncio.create_task(self._tell_until_taken(text, live))

    async def _tell_until_taken(self, text: str, live: LiveRunner) -> None:
        """Tell it a runner. If that ends before, the next one is launched with it."""
        signal = SendSignal(request_id=str(uuid5(UUID(self._start.session_id), live.runner_id)), text=text)
        while True:
            sent = await self._have_typed(signal, live, patient=True)
            if sent.typed or sent.refused or sent.gone or not workflow.patched(patches.TOLD_UNTIL_TAKEN):
                return
            await workflow.sleep(timeouts.NEXT_LOOK_FOR_HOST)
            if self._live != live or self._wish is not Wish.RUN:
                return

    async def _type(self, signal: SendSignal) -> str | None:
        """Have the text typed, into the next runner if this one ends before. Returns why it was not."""
        # The row says "running" a moment before this workflow hears of it; and the first words come first.
        patience, gone = timeouts.SEND, None
        while True:
            live = await self._listener(signal, patience, other_than=gone)
            if live is None or self._wish is not Wish.RUN:
                return f"the session is {'about to stop' if self._live else self._state}, nothing can be typed"
            if not self._prompted and not signal.answer:
                return "the agent has not taken its first prompt yet; look at its terminal"
            sent = await self._have_typed(signal, live, patient=False)
            if not sent.gone:
                # A refusal was written down where it was found; what is left is a host that says nothing.
                return None if sent.typed or sent.refused else sent.reason
            patience, gone = timeouts.RELAUNCHED, live

    async def _listener(
        self, signal: SendSignal, patience: timedelta, *, other_than: LiveRunner | None
    ) -> LiveRunner | None:
        """The runner that a text can be typed to, once there is one and it has heard what it was launched with."""

        def lives() -> bool:
            return self._live is not None and self._live != other_than

        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    (lives() and (self._prompted or signal.answer))
                    or self._wish is not Wish.RUN
                    or self._state is SessionState.ENDED
                ),
                timeout=patience,
            )
        return self._live if lives() else None

    async def _have_typed(self, signal: SendSignal, live: LiveRunner, *, patient: bool) -> Sent:
        """Have a text typed into a runner's terminal by its host."""
        self._actions += 1
        self._sends += 1
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
        finally:
            self._sends -= 1
        return sent
