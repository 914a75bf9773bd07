"""The session workflow of the next version: it waits for a moment before a session is put away."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from stratavore.models.session import SessionInput
    from workflows.session import SessionWorkflow

PATCH = "moment-before-rest"


@workflow.defn(name="Session")
class NextSessionWorkflow(SessionWorkflow):
    """As a change of the workflow is made: who has gone past the step without it goes on without it."""

    @workflow.init
    def __init__(self, start: SessionInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: SessionInput) -> str:
        return await super().run(start)

    async def _rest(self) -> None:
        if workflow.patched(PATCH):
            await self._moment()
        await super()._rest()


@workflow.defn(name="Session")
class RecklessSessionWorkflow(SessionWorkflow):
    """As no change of the workflow may be made: the step without the patch."""

    @workflow.init
    def __init__(self, start: SessionInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: SessionInput) -> str:
        return await super().run(start)

    async def _rest(self) -> None:
        await self._moment()
        await super()._rest()
