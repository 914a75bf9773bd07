"""What a host does with runners: launch, stop, finish.

Every operation can be repeated, and goes on where it was cut off.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from stratavore import threads
from stratavore.environment import environment_of
from stratavore.errors import StaleGeneration, StratavoreError
from stratavore.killpoints import effect
from stratavore.naming import generation_of, session_of
from stratavore.paths import Home
from stratavore.runtime.batch import Batch
from stratavore.runtime.last_words import last_words
from stratavore.runtime.logs import last_lines, plain_tail
from stratavore.runtime.processes import (
    Liveness,
    ProcessIdentity,
    Snapshot,
    end,
    ignores,
    is_out_of_reach,
    liveness,
    outlive,
    send,
    send_group,
    wait_dead,
)
from stratavore.runtime.rundir import ExitRecord, RunDirectory, RunSpec, of_session
from stratavore.runtime.tmux import TerminalFailed, Tmux

LAUNCH_SECONDS = 30.0
_FIRST_LOOK_SECONDS = 0.002
_LONGEST_LOOK_SECONDS = 0.05
_TERMINAL_LOOK_SECONDS = 1.0
_WRAPPER_SECONDS = 2.0
_LEFTOVER_GRACE_SECONDS = 1.0
_SWEEPS = 5

_log = logging.getLogger(__name__)


class ProcessesRemain(StratavoreError):
    """Processes of the runner {runner_id} still live: {pids}. Look at them with: ps -fp {pids}."""

    code = "processes_remain"


class LaunchFailed(StratavoreError):
    """The runner {runner_id} did not begin: {reason}. It can be tried again."""

    code = "launch_failed"


@dataclass(frozen=True)
class Started:
    """What is known of a runner: its agent, the shell around it (``None`` for the dead), and its exit."""

    identity: ProcessIdentity | None
    wrapper: ProcessIdentity | None
    exit: ExitRecord | None

    @property
    def lost(self) -> bool:
        """It had begun, and nothing of it is left to tell how it ended."""
        return self.identity is None and self.exit is None

    @property
    def orphaned(self) -> bool:
        """Its agent lives without its wrapper, and so without a terminal: nobody can reach it."""
        return self.identity is not None and self.wrapper is None


@dataclass(frozen=True)
class Finished:
    """What is left of a runner."""

    lines: str
    """The last that it showed, without secrets of its environment."""
    out_of_reach: tuple[ProcessIdentity, ...]
    """Its processes that live on, since we have no right to end them."""


class RunnerHost:
    """The runners of one host."""

    def __init__(self, home: Home, tmux: Tmux) -> None:
        self._home = home
        self._tmux = tmux
        # Many runners that start or end at once share one look at the machine's processes.
        self._snapshot: Batch[None, tuple[Snapshot, dict[str, list[ProcessIdentity]]]] = Batch(_snapshot_for_all)

    async def launch(
        self, spec: RunSpec, environment: Mapping[str, str], files: Mapping[str, bytes] = MappingProxyType({})
    ) -> Started:
        """Start the runner, or adopt the one that was started under its id; never a second one.

        Raises:
            StaleGeneration: a later runner of the session has been here.
            ProcessesRemain: a process of an earlier runner of the session does not end.
            LaunchFailed, TerminalFailed, ServerMissing: its terminal could not be opened.
        """
        run = RunDirectory(self._home, spec.runner_id)
        if not run.started:
            self._refuse_stale(spec)
            with effect("launch.prepare"):
                await asyncio.to_thread(run.prepare, spec, environment, files)
            # Now that its directory is there: of two that are launched at once, each looks for the other's.
            await self._clear_way(spec)
            with effect("launch.tmux"):
                await self._tmux.start(spec)
        return await self._settled(run, spec)

    def look(self, runner_id: str) -> Started:
        """What is known of a runner now.

        Raises:
            OSError: its files cannot be read now.
        """
        run = RunDirectory(self._home, runner_id)
        # The exit comes last: who dies between two looks has written it before.
        agent, wrapper = _unless_dead(run.agent()), _unless_dead(run.wrapper())
        return Started(agent, wrapper, run.exit())

    async def stop(self, runner_id: str, project_id: str, *, grace: float, force: bool) -> None:
        """End the runner's processes; one that has not begun never will. The terminal stays for `finish`.

        Who of them is out of reach (:class:`Finished`) lives on, unless it is the agent.

        Args:
            runner_id: whose.
            project_id: of which project.
            grace: seconds between SIGTERM to the agent's process group and SIGKILL to all.
            force: grant no grace.

        Raises:
            ProcessesRemain: a process lives on even after SIGKILL.
            ProcessesUnseen: nobody can tell now whether one does.
            OSError: its files cannot be read now; or it has not begun, and there is no room to forbid it.
        """
        run = RunDirectory(self._home, runner_id)
        with effect("stop.signal"):
            _note_stop(run)
            foremost = _unless_dead(run.agent()) or _unless_dead(run.wrapper())
            if foremost is not None:
                before, _ = await self._snapshot(None)
                known = _without_marker(before, run) | set(before.tree(foremost))
                gone = False
                if not force:
                    send_group(foremost, signal.SIGTERM)
                    _hang_up(known - {run.wrapper()})
                    gone = await wait_dead(foremost, grace)
                if not gone:
                    now, _ = await self._snapshot(None)
                    known.update(now.tree(foremost))
                # Its descendants are known still, though who their parent was is not any more.
                ours = known - {run.wrapper()} - _out_of_reach(known, run)
                await end(ours, grace=_LEFTOVER_GRACE_SECONDS if gone else 0)
        await self._sweep(runner_id)

    async def fence(self, runner_id: str, seconds: float) -> None:
        """End a runner at once, as its guard does, since the lease of its host that it belongs to is over.

        Args:
            runner_id: whose.
            seconds: for how long the host could not renew its lease.

        Raises:
            ProcessesRemain: a process lives on even after SIGKILL.
        """
        run = RunDirectory(self._home, runner_id)

        def all_but_wrapper(snapshot: Snapshot, marked: Mapping[str, list[ProcessIdentity]]) -> set[ProcessIdentity]:
            agent = _unless_dead(run.agent())
            found = {*marked.get(runner_id, ()), *_without_marker(snapshot, run), *([agent] if agent else ())}
            return found - {run.wrapper()}  # it writes down that the agent has ended

        with effect("fence.end"):
            run.note_fenced(seconds)
            await self._end_all(run, all_but_wrapper, grace=0)

    async def finish(self, runner_id: str, project_id: str) -> Finished:
        """After the agent's end: keep the last screen, close the terminal, end what it left.

        Raises:
            ProcessesRemain: the agent lives (it is not touched), or what it left does not end.
        """
        run = RunDirectory(self._home, runner_id)
        agent = _unless_dead(run.agent())
        if agent is not None:
            raise ProcessesRemain(runner_id=runner_id, pids=agent.pid)
        screen = None
        try:
            with effect("finish.capture"):
                screen = await self._last_screen(run, project_id)
                _keep(run, screen)
            with effect("finish.kill_session"):
                await self._tmux.kill(project_id, runner_id)
        except TerminalFailed as error:
            # The terminal is for people to look at; the session does not wait for it.
            _log.warning("the terminal of %s was not closed: %s", runner_id, error)
        left = await self._sweep(runner_id)
        environment = environment_of(self._home, session_of(runner_id))
        lines = last_words(screen or run.saved_screen(), environment) or last_words(plain_tail(run.log), environment)
        return Finished(lines, tuple(left))

    async def _settled(self, run: RunDirectory, spec: RunSpec) -> Started:
        """Wait until the agent's process is known, or how it ended, or that there is none."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        next_look = begun + _TERMINAL_LOOK_SECONDS
        delay = _FIRST_LOOK_SECONDS
        while clock() < begun + LAUNCH_SECONDS:
            found = self.look(run.runner_id)
            if found.identity or found.exit:
                return found
            wrapper = run.wrapper()
            # Asked of the kernel, not concluded from `found`: the wrapper may have begun since that look.
            if wrapper is not None and _unless_dead(wrapper) is None:
                return self.look(run.runner_id)  # what it has not written by now it never will
            if clock() >= next_look:
                next_look = clock() + _TERMINAL_LOOK_SECONDS
                pane = await self._tmux.pane(spec.project_id, run.runner_id)
                if pane is None or pane.dead:
                    return await self._never_began(run, spec)
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, _LONGEST_LOOK_SECONDS)
        raise LaunchFailed(runner_id=run.runner_id, reason=f"nothing was seen of it in {LAUNCH_SECONDS:.0f} s")

    async def _never_began(self, run: RunDirectory, spec: RunSpec) -> Started:
        """The terminal is closed, and no wrapper said that it was there."""
        if run.started:
            return self.look(run.runner_id)
        said = last_lines(await self._tmux.capture(spec.project_id, run.runner_id) or "", 3)
        await self._tmux.kill(spec.project_id, run.runner_id)
        raise LaunchFailed(runner_id=run.runner_id, reason=said or "its terminal closed at once")

    async def _clear_way(self, spec: RunSpec) -> None:
        """At most one runner of a session lives: end what is left of earlier ones; a later one goes first."""
        self._refuse_stale(spec)
        if spec.generation == 1:
            return
        await asyncio.to_thread(self._forbid_earlier, spec)
        previous = RunDirectory(self._home, f"{spec.session_id}.{spec.generation - 1}")

        def of_the_session(snapshot: Snapshot, marked: Mapping[str, list[ProcessIdentity]]) -> set[ProcessIdentity]:
            living = [runner for runner in marked if session_of(runner) == spec.session_id]
            if any(generation_of(runner) > spec.generation for runner in living):
                raise StaleGeneration(runner_id=spec.runner_id)
            found = {each for runner in living if runner != spec.runner_id for each in marked[runner]}
            recorded = {each for each in (previous.agent(), previous.wrapper()) if each and _unless_dead(each)}
            return found | recorded | _without_marker(snapshot, previous)

        await self._end_all(previous, of_the_session)

    def _refuse_stale(self, spec: RunSpec) -> None:
        if self._home.run_directory(f"{spec.session_id}.{spec.generation + 1}").exists():
            raise StaleGeneration(runner_id=spec.runner_id)

    def _forbid_earlier(self, spec: RunSpec) -> None:
        """Let none begin whose launch is under way still, in a process that froze say."""
        for run in of_session(self._home, spec.session_id):
            generation = generation_of(run.runner_id)
            if generation > spec.generation:
                raise StaleGeneration(runner_id=spec.runner_id)
            if generation < spec.generation and not run.started:
                run.forbid()

    async def _sweep(self, runner_id: str) -> list[ProcessIdentity]:
        """End every process of the runner, wherever it has moved, by its marker and by what was seen of its descent.

        Returns those that are out of reach.
        """
        run = RunDirectory(self._home, runner_id)
        wrapper = run.wrapper()
        if wrapper is not None:
            await wait_dead(wrapper, _WRAPPER_SECONDS)  # it is about to write how the agent ended
        return await self._end_all(
            run, lambda snapshot, marked: {*marked.get(runner_id, ()), *_without_marker(snapshot, run)}
        )

    async def _end_all(
        self,
        run: RunDirectory,
        choose: Callable[[Snapshot, Mapping[str, list[ProcessIdentity]]], set[ProcessIdentity]],
        grace: float = _LEFTOVER_GRACE_SECONDS,
    ) -> list[ProcessIdentity]:
        """End the chosen processes, and look again for those that they started meanwhile.

        Returns those that are out of reach, and do not end by themselves either.
        """
        for _ in range(_SWEEPS):
            snapshot, marked = await self._snapshot(None)
            chosen = choose(snapshot, marked)
            ours = chosen - _out_of_reach(chosen, run)
            if not ours:
                # The kernel may have hung them up with their terminal, or `sudo` passed on how its program ended.
                left = await outlive(chosen, grace)
                if left:
                    _log.warning("of %s live on, since we may not end them: %s", run.runner_id, _pids(left))
                return left
            await end(ours, grace=grace)
        raise ProcessesRemain(runner_id=run.runner_id, pids=_pids(ours))

    async def _last_screen(self, run: RunDirectory, project_id: str) -> str | None:
        """The screen with the last of what was written to it: tmux closes a pane when it has read all."""
        wrapper = run.wrapper()
        if wrapper is not None:
            await wait_dead(wrapper, _WRAPPER_SECONDS)
        for _ in range(20):
            pane = await self._tmux.pane(project_id, run.runner_id)
            if pane is None:
                return None
            if pane.dead:
                break
            await asyncio.sleep(_LONGEST_LOOK_SECONDS)
        return await self._tmux.capture(project_id, run.runner_id)


def _note_stop(run: RunDirectory) -> None:
    """Note that it is to end. A full disk holds up no end: an agent may be what fills it."""
    try:
        run.ask_stop()
    except OSError as error:
        if not run.started:
            raise
        _log.warning("it was not noted that %s was asked to end: %s", run.runner_id, error)


def _keep(run: RunDirectory, screen: str | None) -> None:
    """Keep the last screen, for people to look at: a full disk or a directory that is gone holds up no session."""
    try:
        if screen is not None:
            run.save_screen(screen)
    except OSError as error:
        _log.warning("the last screen of %s was not kept: %s", run.runner_id, error)


def _unless_dead(identity: ProcessIdentity | None) -> ProcessIdentity | None:
    """``None`` if the process is proven dead."""
    return identity if identity is not None and liveness(identity) is not Liveness.DEAD else None


def _without_marker(snapshot: Snapshot, run: RunDirectory) -> set[ProcessIdentity]:
    """Living processes of a runner that may have thrown its marker away: of its terminal's session, or seen before.

    Who left that session, its parents and its environment before anybody saw it is found by nothing.
    """
    wrapper = run.wrapper()
    found = set(snapshot.session(wrapper, run.ended_ticks())) if wrapper else set()
    found.update(one for each in snapshot.living(run.descendants()) for one in snapshot.tree(each))
    return found - {wrapper}


def _out_of_reach(processes: Iterable[ProcessIdentity], run: RunDirectory) -> set[ProcessIdentity]:
    """Those of a runner's processes that we have no right to end; neither agent nor wrapper, which must be gone."""
    awaited = (run.agent(), run.wrapper())
    return {each for each in processes if each not in awaited and is_out_of_reach(each)}


def _pids(processes: Iterable[ProcessIdentity]) -> str:
    return ",".join(str(each.pid) for each in processes)


def _hang_up(processes: Iterable[ProcessIdentity]) -> None:
    """What a closed terminal does, for those whom SIGTERM does nothing to: interactive shells."""
    for each in processes:
        if ignores(each, signal.SIGTERM):
            send(each, signal.SIGHUP)


async def _snapshot_for_all(
    askers: Sequence[None],
) -> list[tuple[Snapshot, dict[str, list[ProcessIdentity]]]]:
    def take() -> tuple[Snapshot, dict[str, list[ProcessIdentity]]]:
        snapshot = Snapshot()
        return snapshot, snapshot.marked()

    return [await threads.reserved(take)] * len(askers)  # what is to end ends, also with a lease that is over
