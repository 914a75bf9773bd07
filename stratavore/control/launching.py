"""Starting sessions."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stratavore import quotas, targets
from stratavore.agents.registry import adapter_for
from stratavore.control.commands import Commands
from stratavore.control.hosts import known_host
from stratavore.directories import check_directory
from stratavore.environment import read_environment
from stratavore.errors import LostDirectory
from stratavore.launch_options import LaunchOptions, check_failover, check_prompt, combine
from stratavore.models.session import LaunchSpec
from stratavore.models.states import ACTIVE_STATES, HELD_STATES, RESTING_STATES, Failover, SessionState
from stratavore.models.views import ProjectView
from stratavore.mounts import look
from stratavore.store import sessions


class Launching(Commands):
    """New sessions, and the one that a project is opened with."""

    async def launch(
        self,
        project: str,
        session_ids: Sequence[str],
        argv: Sequence[str] | None = None,
        prompt: str | None = None,
        options: Mapping[str, Any] | None = None,
        headless: bool = False,
        god: Mapping[str, Any] | None = None,
        no_queue: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> list[str]:
        """Start a new session for each id. Repeating it with the same ids is harmless.

        Args:
            project: in which project.
            session_ids: new UUIDs.
            argv: the same as ``options["argv"]``.
            prompt: what the agent is told first; without a terminal the only thing.
            options: of :class:`LaunchOptions`, as JSON values; the project says what they leave open.
            headless: without a terminal.
            god: the operator who asks: the sessions take their slots past the quotas.
            no_queue: a session that finds no free slot ends, instead of waiting in line.
            limits: of each session's own, from its first moment; by either spelling of their names.

        Raises:
            InvalidInput: a value is none.
        """
        own = quotas.check_own(limits or {})
        said = LaunchOptions.of({**(options or {}), **({"argv": list(argv)} if argv else {})})
        environment = self._home.session_environment(session_ids[0])
        found, spec = await self._prepared(project, said, prompt, environment, headless=headless)
        operator = await self._as_god(god, "launch", session_ids, project)
        more = {"god": operator, "no_queue": no_queue}
        spec = spec.model_copy(update={"limits": own})
        starts = [self._input(found.project_id, project, one, spec).model_copy(update=more) for one in session_ids]
        await asyncio.gather(*map(self._start, starts))
        return list(session_ids)

    async def _prepared(
        self, project: str, said: LaunchOptions, prompt: str | None, environment: Path, *, headless: bool
    ) -> tuple[ProjectView, LaunchSpec]:
        """What is launched, checked as far as this host can tell.

        Args:
            project: in which project.
            said: the project says what it leaves open.
            prompt: what the agent is told first.
            environment: the file of what the agent gets.
            headless: without a terminal.
        """
        check_prompt(prompt)
        async with self._database.pool.acquire() as connection:
            found = await targets.project(connection, project)
        spec = _spec(found, said).model_copy(update={"prompt": prompt, "headless": headless})
        await self._check(spec, environment)
        return found, spec

    async def _check(self, spec: LaunchSpec, kept: Path) -> None:
        """Check that it can be launched, as far as this host can tell.

        Raises:
            UnknownHost: there is no host of the name.
            StratavoreError: it is to run here, and cannot.
        """
        if spec.host is not None:
            async with self._database.pool.acquire() as connection:
                await known_host(connection, spec.host)
        if spec.host in (None, self._host):
            await look(spec.cwd, lambda: _check_here(spec, kept))

    async def open_project(
        self,
        project: str,
        session_id: str,
        options: Mapping[str, Any] | None = None,
        god: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What ``stratavore P`` does: attach to the live session, else resume the last, else launch ``session_id``.

        Returns the session, what is done, and its generation before that: who waits for a resumed session can
        tell its old end from a new one. ``god`` is the operator who asks: what is resumed or launched,
        or waits in line, takes its slot past the quotas.
        """
        async with self._database.pool.acquire() as connection:
            await targets.project(connection, project)
            known = await sessions.views(connection, project=project, ended=True)
        known = [one for one in known if not one.headless]  # there is nothing of those to be shown
        for action, states in (
            ("attach", ACTIVE_STATES | HELD_STATES | {SessionState.QUEUED}),
            ("resume", RESTING_STATES),
            ("resume", {SessionState.ENDED}),
        ):
            if there := [one for one in known if one.state in states]:
                waits = there[-1].state in HELD_STATES | {SessionState.QUEUED}
                if action == "resume" or (god and waits):
                    operator = await self._as_god(god, "open", [there[-1].session_id], project)
                    await self._resume(there[-1], session_id, operator)
                return {
                    "session_id": there[-1].session_id,
                    "action": action,
                    "generation": there[-1].generation,
                }
        await self.launch(project, [session_id], options=options, god=god)
        return {"session_id": session_id, "action": "launch", "generation": 0}


def _check_here(spec: LaunchSpec, kept: Path) -> None:
    adapter_for(spec.agent).check(spec, read_environment(kept))
    check_directory(spec.cwd, LostDirectory)


def _spec(project: ProjectView, said: LaunchOptions) -> LaunchSpec:
    """What is launched: what was said, and what the project says where that is silent."""
    of_project = LaunchOptions(
        project.agent,
        project.argv,
        project.model,
        project.permission_mode,
        project.directories,
        project.mcp_config,
        project.host,
        project.failover,
    )
    check_failover(said.failover)
    chosen = combine(said, of_project)
    assert chosen.agent is not None
    return LaunchSpec(
        agent=chosen.agent,
        argv=chosen.argv or (),
        cwd=project.path,
        model=chosen.model,
        permission_mode=chosen.permission_mode,
        directories=chosen.directories or (),
        mcp_config=chosen.mcp_config or (),
        host=chosen.host,
        failover=Failover(chosen.failover or Failover.WAIT),
    )
