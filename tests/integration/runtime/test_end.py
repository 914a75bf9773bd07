"""Ending: whoever dies first, how the agent ended is known, and nothing of it lives on."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from stratavore.environment import environment_of
from stratavore.runtime.host import ProcessesRemain
from stratavore.runtime.processes import (
    Liveness,
    ProcessIdentity,
    identify,
    liveness,
    send,
    send_group,
    wait_dead,
)
from stratavore.runtime.rundir import RunSpec
from stratavore.runtime.watch import ExitWatch
from tests.integration.runtime.runners import Runners, pids_in
from tests.support.processes import marked
from tests.support.waiting import PATIENCE_SECONDS, until

STUBBORN = (
    "import signal,time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; "
    "print('up', flush=True); time.sleep(1000)"
)


async def pids(runners: Runners, count: int) -> list[ProcessIdentity]:
    await until(pids_in(runners.work, count))
    found = [identify(int(pid)) for pid in (runners.work / "pids").read_text().split()]
    assert all(found)
    return [each for each in found if each]


@pytest.mark.parametrize("code", [0, 1, 3, 126, 127, 130, 255])
async def test_exit_codes(runners: Runners, code: int) -> None:
    spec = runners.shell(f"exit {code}")
    await runners.launch(spec)
    record = await runners.exit(spec)
    assert (record.code, record.signals, record.refused, record.asked) == (code, (), False, False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
async def test_a_signal_to_the_agent_alone(runners: Runners, number: signal.Signals) -> None:
    spec = runners.spec("sleep", "1000")
    send(await runners.agent(spec), number)
    record = await runners.exit(spec)
    assert (record.code, record.signals) == (128 + number, ())


async def test_a_signal_to_the_group_is_noted(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    send_group(await runners.agent(spec), signal.SIGTERM)
    record = await runners.exit(spec)
    assert (record.code, record.signals, record.asked) == (143, ("TERM",), False)


async def test_an_agent_that_ends_politely_at_a_signal(runners: Runners) -> None:
    spec = runners.python(
        "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(1000)"
    )
    agent = await runners.agent(spec)
    await runners.shows(spec, "up")
    send_group(agent, signal.SIGTERM)
    record = await runners.exit(spec)
    assert (record.code, record.signals) == (0, ("TERM",))


@pytest.mark.parametrize(("key", "code", "name"), [("C-c", 130, "INT"), ("C-\\", 131, "QUIT")])
async def test_keys_that_interrupt(runners: Runners, key: str, code: int, name: str) -> None:
    spec = runners.shell("ulimit -c 0; echo up; exec sleep 1000")
    await runners.launch(spec)
    await runners.shows(spec, "up")
    await runners.tmux._must(spec.project_id, "send-keys", "-t", f"={spec.runner_id.replace('.', '_')}:", key)
    record = await runners.exit(spec)
    assert (record.code, record.signals) == (code, (name,))


async def test_signals_are_not_ignored_in_the_agent(runners: Runners) -> None:
    spec = runners.shell("grep SigIgn /proc/$$/status >result; sleep 1000")
    await runners.launch(spec)
    result = runners.work / "result"
    await until(lambda: result.exists() and result.read_text().strip())
    ignored = int(result.read_text().split()[1], 16)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE):
        assert not ignored >> (number - 1) & 1


async def test_the_death_of_the_terminal_server(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    os.kill(await runners.server(), signal.SIGKILL)
    await runners.gone(started.identity, started.wrapper)
    assert runners.files(spec).exit() is None
    assert await runners.tmux.pane(spec.project_id, spec.runner_id) is None
    assert await runners.tmux.runners(spec.project_id) == {}
    assert await runners.tmux.capture(spec.project_id, spec.runner_id) is None
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == ""
    assert (await runners.launch(runners.next(spec))).identity


async def test_what_was_written_is_told_when_the_terminal_server_is_dead(runners: Runners) -> None:
    spec = runners.shell("printf '\\033[31mred\\033[0m\\n50%%\\r100%%\\n'; sleep 1000")
    started = await runners.launch(spec)
    await runners.shows(spec, "100%")
    os.kill(await runners.server(), signal.SIGKILL)
    await runners.gone(started.identity, started.wrapper)
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == "red\n100%"


async def test_secrets_that_came_from_the_daemon_are_left_out_of_what_was_shown_last(
    runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-" + "0123456789" * 12
    monkeypatch.setenv("HOST_API_KEY", secret)  # of a session from elsewhere: no environment of its own is kept here
    spec = runners.shell('echo "bad key $HOST_API_KEY"')
    assert len(secret) > spec.cols
    await runners.launch(spec, environment_of(runners.home, spec.session_id))
    await runners.exit(spec)
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == "bad key ****"


class Watch:
    """Collects what the watch calls back with."""

    def __init__(self, runners: Runners) -> None:
        self.exits: list[str] = []
        self.orphans: list[str] = []
        self.watch = ExitWatch(runners.home, self.exits.append, self.orphans.append)


async def watched(runners: Runners, spec: RunSpec) -> tuple[Watch, ProcessIdentity, ProcessIdentity]:
    started = await runners.launch(spec)
    assert started.identity and started.wrapper
    watch = Watch(runners)
    watch.watch.add(spec.runner_id, started.identity, started.wrapper)
    return watch, started.identity, started.wrapper


async def test_watch_tells_an_exit_once_with_its_record(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    watch, agent, wrapper = await watched(runners, spec)
    send(agent, signal.SIGKILL)
    await until(lambda: watch.exits)
    assert runners.files(spec).exit() is not None
    await runners.gone(wrapper)
    await asyncio.sleep(0)
    assert (watch.exits, watch.orphans) == ([spec.runner_id], [])
    assert spec.runner_id not in watch.watch


async def test_watch_tells_what_ended_before(runners: Runners) -> None:
    spec = runners.shell("exit 0")
    started = await runners.launch(spec)
    await runners.exit(spec)
    await runners.gone(started.wrapper)
    watch = Watch(runners)
    watch.watch.add(spec.runner_id, started.identity, started.wrapper)
    assert watch.exits == []  # never from within add
    await until(lambda: watch.exits == [spec.runner_id])


async def test_watch_tells_when_nobody_is_left_to_write(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    watch, agent, wrapper = await watched(runners, spec)
    server = await runners.server()
    os.kill(server, signal.SIGSTOP)  # it would have the stopped wrapper go on
    try:
        send(wrapper, signal.SIGSTOP)
        send(agent, signal.SIGKILL)
        await runners.gone(agent)
        assert watch.exits == []
        send(wrapper, signal.SIGKILL)
        await until(lambda: watch.exits == [spec.runner_id])
    finally:
        os.kill(server, signal.SIGCONT)
    assert runners.files(spec).exit() is None


async def test_the_death_of_the_wrapper(runners: Runners) -> None:
    """The kernel hangs the agent up then, as its terminal's session has lost its leader."""
    spec = runners.spec("sleep", "1000")
    watch, agent, wrapper = await watched(runners, spec)
    send(wrapper, signal.SIGKILL)
    await until(lambda: watch.exits == [spec.runner_id])
    assert liveness(agent) is Liveness.DEAD


async def test_an_agent_that_survives_its_wrapper_is_an_orphan(runners: Runners) -> None:
    spec = runners.python(STUBBORN)
    watch, agent, wrapper = await watched(runners, spec)
    await runners.shows(spec, "up")
    send(wrapper, signal.SIGKILL)
    await until(lambda: watch.orphans == [spec.runner_id])
    assert liveness(agent) is Liveness.ALIVE
    assert runners.host.look(spec.runner_id).orphaned
    with pytest.raises(ProcessesRemain):
        await runners.host.finish(spec.runner_id, spec.project_id)
    await runners.host.stop(spec.runner_id, spec.project_id, grace=0.1, force=False)
    await until(lambda: watch.exits == [spec.runner_id])
    assert (watch.orphans, liveness(agent)) == ([spec.runner_id], Liveness.DEAD)


async def test_watch_works_without_free_descriptors(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(identity: ProcessIdentity) -> int | None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("stratavore.runtime.watch.open_pidfd", refuse)
    monkeypatch.setattr("stratavore.runtime.watch._POLL_SECONDS", 0.02)
    spec = runners.spec("sleep", "1000")
    watch, agent, _ = await watched(runners, spec)
    send(agent, signal.SIGKILL)
    await until(lambda: watch.exits == [spec.runner_id])


async def test_who_is_not_watched_any_more_is_not_told(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    watch, agent, wrapper = await watched(runners, spec)
    watch.watch.close()
    send(agent, signal.SIGKILL)
    await runners.gone(agent, wrapper)
    assert watch.exits == []


async def test_stop_is_polite_first(runners: Runners) -> None:
    spec = runners.python(
        "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(1000)"
    )
    started = await runners.launch(spec)
    await runners.shows(spec, "up")
    await runners.host.stop(spec.runner_id, spec.project_id, grace=PATIENCE_SECONDS, force=False)
    record = await runners.exit(spec)
    assert (record.code, record.signals, record.asked) == (7, ("TERM",), True)
    assert not marked(runner_id=spec.runner_id)
    await runners.gone(started.identity, started.wrapper)


async def test_stop_kills_who_does_not_listen(runners: Runners) -> None:
    spec = runners.python(STUBBORN)
    agent = await runners.agent(spec)
    await runners.shows(spec, "up")
    await runners.host.stop(spec.runner_id, spec.project_id, grace=0.1, force=False)
    assert liveness(agent) is Liveness.DEAD
    assert (await runners.exit(spec)).code == 137


async def test_stop_by_force_grants_nothing(runners: Runners) -> None:
    spec = runners.python(STUBBORN)
    await runners.launch(spec)
    await runners.shows(spec, "up")
    await asyncio.wait_for(
        runners.host.stop(spec.runner_id, spec.project_id, grace=10_000, force=True), PATIENCE_SECONDS
    )
    assert (await runners.exit(spec)).code == 137


CHILDREN = """
import os, sys, time, signal
def child(detach, clean):
    if os.fork() == 0:
        if detach:
            os.setsid()
            if os.fork():
                os._exit(0)
        signal.signal(15, signal.SIG_IGN)
        signal.signal(1, signal.SIG_IGN)
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")
        program = [sys.executable, "-c", "import time; time.sleep(1000)"]
        os.execve(program[0], program, {} if clean else os.environ)
child(False, False); child(False, True); child(True, False)
time.sleep(1000)
"""


@pytest.mark.parametrize("force", [False, True])
async def test_stop_ends_children_wherever_they_went(runners: Runners, force: bool) -> None:
    """Those in the group, one without the marker, and one that left the terminal, its parent and its group."""
    spec = runners.python(CHILDREN)
    await runners.launch(spec)
    children = await pids(runners, 3)
    await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=force)
    assert all(liveness(child) is Liveness.DEAD for child in children)


async def test_finish_ends_what_was_left_behind(runners: Runners) -> None:
    spec = runners.shell("setsid sh -c 'echo $$ >>pids; exec sleep 1000' & while [ ! -s pids ]; do :; done")
    await runners.launch(spec)
    await runners.exit(spec)
    (child,) = await pids(runners, 1)
    assert liveness(child) is Liveness.ALIVE
    await runners.host.finish(spec.runner_id, spec.project_id)
    assert liveness(child) is Liveness.DEAD


async def test_others_are_not_touched(runners: Runners) -> None:
    mine, other = runners.spec("sleep", "1000"), runners.spec("sleep", "1000")
    await runners.launch(mine)
    agent = await runners.agent(other)
    await runners.host.stop(mine.runner_id, mine.project_id, grace=5, force=False)
    await runners.host.finish(mine.runner_id, mine.project_id)
    assert not await wait_dead(agent, 0)
    assert await runners.tmux.pane(other.project_id, other.runner_id)


async def test_stop_again(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    await runners.launch(spec)
    for _ in range(2):
        await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
        assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == ""
    assert await runners.tmux.pane(spec.project_id, spec.runner_id) is None


async def test_what_was_stopped_before_anything_was_laid_out_for_it_never_begins(runners: Runners) -> None:
    spec = runners.shell("touch ran; exec sleep 1000")
    await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
    assert (await runners.launch(spec)).lost
    assert not (runners.work / "ran").exists()


async def test_a_runner_that_was_stopped_before_it_began_never_does(runners: Runners) -> None:
    spec = runners.shell("touch ran; exec sleep 1000")
    runners.files(spec).prepare(spec, {})
    await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
    assert (await runners.launch(spec)).lost
    await runners.tmux.start(spec)  # one that was on its way
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    while pane and not pane.dead:
        pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    assert not (runners.work / "ran").exists()


async def test_stop_without_a_terminal_server(runners: Runners) -> None:
    spec = runners.python(STUBBORN)
    agent = await runners.agent(spec)
    await runners.shows(spec, "up")
    os.kill(await runners.server(), signal.SIGKILL)
    await runners.host.stop(spec.runner_id, spec.project_id, grace=0.1, force=False)
    assert liveness(agent) is Liveness.DEAD
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == "up"


async def test_finish_returns_the_last_lines_and_keeps_the_screen(runners: Runners) -> None:
    spec = runners.shell("i=0; while [ $i -lt 99 ]; do echo line $i; i=$((i+1)); done; echo; echo Traceback: ü; exit 1")
    await runners.launch(spec)
    await runners.exit(spec)
    lines = (await runners.host.finish(spec.runner_id, spec.project_id)).lines.splitlines()
    assert lines == [*(f"line {number}" for number in range(85, 99)), "Traceback: ü"]
    assert "line 98" in runners.files(spec).screen.read_text()
    assert await runners.tmux.pane(spec.project_id, spec.runner_id) is None
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines.splitlines() == lines


async def test_finish_does_not_wait_for_a_terminal_server_that_hangs(
    runners: Runners, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spec = runners.shell("echo done")
    await runners.launch(spec)
    await runners.exit(spec)
    await runners.shows(spec, "done")
    server = await runners.server()
    monkeypatch.setattr("stratavore.runtime.tmux.CALL_SECONDS", 0.2)
    os.kill(server, signal.SIGSTOP)
    try:
        assert (await runners.host.finish(spec.runner_id, spec.project_id)).lines == "done"
    finally:
        os.kill(server, signal.SIGCONT)
    assert "no answer" in caplog.text


async def test_a_daemon_in_a_session_does_not_end_itself(runners: Runners) -> None:
    """What ends the runner may run in it."""
    spec = runners.spec(sys.executable, "-m", "tests.integration.runtime.daemon_in_session")
    spec = RunSpec(**{**spec.__dict__, "cwd": str(Path.cwd())})
    result = runners.work / "result"
    await runners.launch(spec, dict(os.environ) | {"RESULT": str(result)})
    await until(result.exists)
    assert result.read_text() == "1 ended"
