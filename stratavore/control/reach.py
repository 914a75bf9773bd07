"""What every use case has at hand, and how it reaches a session's workflow."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from stratavore import naming, targets
from stratavore.health.servers import Broker
from stratavore.killpoints import effect
from stratavore.models.session import ACTIONS_A_RUN, Carried, LaunchSpec, Policy, SessionInput, Wish
from stratavore.models.states import SessionState
from stratavore.models.views import SessionView
from stratavore.paths import Home
from stratavore.reconcile.here import Here
from stratavore.runtime.tmux import Tmux
from stratavore.search_attributes import of_start, summary_of_start
from stratavore.signals import signal, wake
from stratavore.store import hosts, sessions
from stratavore.store.database import Database

TASK_TIMEOUT = timedelta(seconds=5)
"""Of the workflow's first run; ``workflows/timeouts.py`` has the same for the next ones."""


class Reach:
    """The servers and the files of one host."""

    def __init__(
        self,
        home: Home,
        host: str,
        database: Database,
        client: Client,
        here: Here | None = None,
        broker: Broker | None = None,
    ) -> None:
        """``here`` and ``broker`` are given by the daemon of the host: who else may judge what lives on it?"""
        self._home = home
        self._host = host
        self._database = database
        self._client = client
        self._here = here
        self._broker = broker
        self._tmux = Tmux(home)

    async def _signal(self, session_id: str, name: str, message: Any) -> bool:
        """Signal a session's workflow. Returns False if it has no open workflow."""
        with effect("control.signal"):
            return await signal(self._client, session_id, name, message)

    async def _ask(self, session: SessionView, signal: str, message: Any) -> None:
        """Signal a session's workflow; one that was terminated by hand is started again with the signal."""
        if not await self._signal(session.session_id, signal, message):
            await self._take_up(session, signal, message)

    def _hears(self, session: SessionView) -> bool:
        """Whether it runs; without a daemon one of this host too: it is told when the daemon is back."""
        waits_for_us = self._here is None and session.host == self._host
        return session.state is SessionState.RUNNING or (session.state is SessionState.UNREACHABLE and waits_for_us)

    async def _those_here(self, found: Sequence[SessionView]) -> list[SessionView]:
        """Those of this host: who ran here last, or is to run here; who ran nowhere yet, if there is no other host."""
        async with self._database.pool.acquire() as connection:
            others = [one.host for one in await hosts.views(connection) if one.host != self._host]
        nowhere = None if others else self._host
        return [one for one in found if (one.host or one.bound_to or nowhere) == self._host]

    async def _wake(self, session_id: str) -> None:
        """Have a session look whether it may go on."""
        with effect("control.signal"):
            await wake(self._client, session_id)

    async def _take_up(self, session: SessionView, signal: str, message: Any) -> None:
        """Start the session's workflow, which was terminated by hand, again, with the command, on any live runner."""
        start = await self._again(session)
        await self._start(
            start.model_copy(update={"adopts": True, "resumes": True}), again=True, signal=(signal, message)
        )

    async def _put_away_again(self, session: SessionView) -> None:
        """Start the workflow of a session that rests again: it goes on resting, for the same reason."""
        start = await self._again(session)
        rests = Carried(wish=Wish.PAUSE, state=session.state, reason=session.reason)
        await self._start(start.model_copy(update={"adopts": True, "resumes": True, "carried": rests}), again=True)

    async def _again(self, session: SessionView) -> SessionInput:
        async with self._database.pool.acquire() as connection:
            project = await targets.project(connection, session.project)
            spec = await sessions.launched_with(connection, session.session_id)
        return self._input(project.project_id, session.project, session.session_id, spec)

    def _input(self, project_id: str, project: str, session_id: str, spec: LaunchSpec) -> SessionInput:
        policy = Policy(actions_a_run=ACTIONS_A_RUN)
        return SessionInput(
            session_id=session_id, project_id=project_id, project=project, spec=spec, host=self._host, policy=policy
        )

    async def _start(self, start: SessionInput, *, again: bool = False, signal: tuple[str, Any] | None = None) -> None:
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        # Already started and ended: the same launch, repeated.
        with suppress(WorkflowAlreadyStartedError), effect("control.start"):
            await self._client.start_workflow(
                naming.WORKFLOW,
                start,
                id=naming.workflow_id(start.session_id),
                task_queue=naming.TASK_QUEUE,
                task_timeout=TASK_TIMEOUT,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=of_start(start, self._host),
                static_summary=summary_of_start(start),
                start_signal=signal[0] if signal else None,
                start_signal_args=[signal[1]] if signal else [],
            )
