"""Sessions whose workflow Temporal does not know: it lost its data, or runs anew beside a restored database."""

from stratavore.control.reach import Reach
from stratavore.models.session import ResumeSignal
from stratavore.store import sessions


class LostWorkflows(Reach):
    """Starting them again. Nobody decided that these sessions end, so they do not."""

    async def go_on(self, session_id: str, runner_id: str) -> None:
        """Start the workflow of a session again: it takes over this runner, dead or alive. Can be repeated."""
        async with self._database.pool.acquire() as connection:
            (session,) = await sessions.views(connection, ids=[session_id], ended=True)
        await self._take_up(session, "resume", ResumeSignal(request_id=f"{runner_id}/workflow-lost"))
