"""The session workflow: admit, place, launch, supervise, decide, record, for as long as the session lives."""

import asyncio
from typing import NoReturn

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from stratavore.models.session import SessionInput, Wish
    from stratavore.models.states import SessionState
    from workflows.decisions import ended_on_request
    from workflows.session.commands import Commands
    from workflows.session.launching import Launching


@workflow.defn(name="Session")
class SessionWorkflow(Commands, Launching):
    """One conversation with an agent, whatever happens to the processes that it takes."""

    @workflow.init
    def __init__(self, start: SessionInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: SessionInput) -> str:
        """Live through every runner of the session. Returns why it ended."""
        self._describe()
        if not self._prompted:
            self._prompting = asyncio.create_task(self._give_prompt())
        if self._unheard is not None and self._live:
            self._tell_again(self._unheard, self._live)
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
            elif self._hold:
                await self._withhold(self._hold)
            elif self._admitted:
                await self._launch()
            else:
                await self._admit()

    def _begin_again(self) -> NoReturn:
        """Take up the session that ended in this run: in a new one, which can be cancelled anew."""
        self._wish, self._force, self._launches, self._ended_by = Wish.RUN, False, 0, None
        self._resumed_at = None
        self._start = self._start.model_copy(update={"resumes": True})
        self._show(SessionState.QUEUED, None)
        self._continue()
