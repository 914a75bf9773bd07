"""Looking at sessions and runners, and finding the terminal of one."""

from stratavore import targets
from stratavore.control.reach import Reach
from stratavore.control.refusals import wrong_state
from stratavore.models.states import SessionState
from stratavore.models.views import EventView, NamesView, RunnerView, SessionView, Terminal
from stratavore.runtime.rundir import RunDirectory
from stratavore.store import events, projects, runners, sessions


class Sessions(Reach):
    """Sessions and their runners."""

    async def list_sessions(
        self, project: str | None = None, all: bool = False, here: bool = False
    ) -> list[SessionView]:
        """Sessions, oldest first; ended ones only with ``all``; with ``here`` those of this host only."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            found = await sessions.views(connection, project=project, ended=all)
        return await self._those_here(found) if here else found

    async def find_session(self, target: str) -> SessionView:
        """The session that is meant; of a project its newest live one, else its newest."""
        async with self._database.pool.acquire() as connection:
            return await targets.one(connection, target, live=False)

    async def list_runners(self, project: str | None = None, all: bool = False) -> list[RunnerView]:
        """Runners, oldest first; ended ones only with ``all``."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await runners.views(connection, project=project, ended=all)

    async def session_runners(self, session_id: str) -> list[RunnerView]:
        """All runners of one session, oldest first."""
        async with self._database.pool.acquire() as connection:
            return await runners.views(connection, session_id=session_id, ended=True)

    async def find_runner(self, target: str) -> RunnerView:
        """The runner that is named, else the session's current or last one."""
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=False)
            runner = await targets.earlier_runner(connection, target, session)
            if runner is None:
                known = await runners.views(connection, session_id=session.session_id, ended=True)
                runner = next((one for one in known if one.runner_id == session.runner_id), None)
        if runner is None:
            raise wrong_state(target, [session], "shown")
        return runner

    async def session_story(self, session_id: str) -> list[EventView]:
        """What became of a session, oldest first, without what its agent did from moment to moment."""
        async with self._database.pool.acquire() as connection:
            return await events.story(connection, session_id)

    async def terminal(self, target: str) -> Terminal:
        """How to reach the terminal and the files of the runner that is named, else the session's current or last."""
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=False)
            project = await targets.project(connection, session.project)
            earlier = await targets.earlier_runner(connection, target, session)
        runner_id = earlier.runner_id if earlier else session.runner_id
        if runner_id is None:
            raise wrong_state(target, [session], "shown")
        files = RunDirectory(self._home, runner_id)
        commands = {
            read_only: tuple(self._tmux.attach_argv(project.project_id, runner_id, read_only=read_only))
            for read_only in (False, True)
        }
        return Terminal(
            session=session,
            runner_id=runner_id,
            project_id=project.project_id,
            host=(earlier.host if earlier else session.host) or self._host,
            live=session.state in (SessionState.RUNNING, SessionState.UNREACHABLE) and not earlier,
            attach=commands[False],
            attach_read_only=commands[True],
            log=str(files.log),
            screen=str(files.screen),
            output=str(files.output),
        )

    async def list_names(self) -> NamesView:
        """Projects and live sessions by what they can be called, for the completion of words."""
        async with self._database.pool.acquire() as connection:
            return NamesView(
                projects=tuple(await projects.names(connection)),
                sessions=tuple(await sessions.live_names(connection)),
            )
