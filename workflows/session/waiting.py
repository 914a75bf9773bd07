"""How the session's workflow waits, and how it continues as new when its history has become long."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from temporalio import workflow

from stratavore.models.base import Model
from stratavore.models.session import ACTIONS_A_RUN, Carried, Wish
from workflows import patches, timeouts
from workflows.session.memory import Memory

Answer = TypeVar("Answer", bound=Model | None)


class Waiting(Memory):
    """Waits that a cancellation from outside does not tear."""

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

    async def _commit(self, do: Callable[[Any, Any], Awaitable[Answer]], request: Model, summary: str) -> Answer:
        """A transaction in Postgres, tried until it has happened. Its key is in the request."""
        self._actions += 1
        answer: Answer = await self._settled(
            workflow.start_local_activity_method(
                do,
                request,
                start_to_close_timeout=timeouts.STEP,
                retry_policy=timeouts.FOR_EVER,
                local_retry_threshold=timeouts.STEP_HERE,
                summary=summary,
            )
        )
        return answer

    async def _moment(self) -> None:
        """Come back in another workflow task, before this run ends in favour of the next one.

        Signals are run before the other news of the same task. One that leads to the next run at once would lose a
        runner's end, or a cancellation, that came with it.
        """
        await self._settled(asyncio.ensure_future(workflow.sleep(timeouts.MOMENT)))

    def _may_continue(self) -> bool:
        """Whether the history is long, no signal is being handled, and more is left to do than to end."""
        goes_on = self._live is not None or self._wish is not Wish.TERMINATE
        return self._is_long() and goes_on and workflow.all_handlers_finished() and self._can_hand_on_texts()

    def _can_hand_on_texts(self) -> bool:
        """Whether the next run can tell the agent what it has not taken yet: nothing of it is being typed now."""
        told = (self._prompted or self._live is None) and not self._is_telling_again()
        return told or (self._sends == 0 and workflow.patched(patches.PROMPT_IS_HANDED_ON))

    def _is_telling_again(self) -> bool:
        return self._telling_again is not None and not self._telling_again.done()

    def _is_long(self) -> bool:
        policy = self._start.policy
        if policy.actions_a_run is not None:
            return self._actions >= policy.actions_a_run
        info = workflow.info()
        return info.is_continue_as_new_suggested() or (
            policy.history_length is not None and info.get_current_history_length() >= policy.history_length
        )

    async def _is_time_to_continue(self) -> bool:
        """Whether to continue as new, once everything is heard that this run was told."""
        if not self._may_continue():
            return False
        await self._moment()
        return self._may_continue()

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
            unheard=self._unheard if self._is_telling_again() else None,
            state=self._state,
            reason=self._reason,
            stopped=self._stopped,
            replaced=self._replaced,
            god=self._god,
            ended_by=self._ended_by,
            destination=self._destination,
            left=self._left,
            hold=self._hold,
        )
        policy = self._start.policy
        policy = policy.model_copy(update={"actions_a_run": policy.actions_a_run or ACTIONS_A_RUN})
        workflow.continue_as_new(
            self._start.model_copy(update={"carried": carried, "adopts": False, "policy": policy}),
            task_timeout=timeouts.WORKFLOW_TASK,
        )
