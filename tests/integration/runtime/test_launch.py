"""Launching: the agent gets what was said, once, and what it writes is kept from the first byte."""

import asyncio
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stratavore.errors import InvalidInput, ServerMissing, StaleGeneration
from stratavore.runtime.host import LaunchFailed, Started
from stratavore.runtime.processes import Liveness, identify, liveness, wait_dead
from stratavore.runtime.rundir import RunDirectory, RunSpec
from stratavore.runtime.tmux import TerminalFailed
from tests.integration.runtime.runners import ENVIRONMENT, Runners, pids_in
from tests.support import guardian
from tests.support.processes import marked
from tests.support.waiting import until

HOSTILE = [
    "it's",
    'say "hi"',
    "two\nlines\n",
    "$(touch /tmp/x) `id` $HOME \\ \\n",
    "",
    " ",
    "häß 🦜",
    "#{pane_id} #(id) %H",
    "-n",
    ";",
    "a;b",
]


def write_json(expression: str) -> str:
    return f"import json,os,sys; json.dump({expression}, open('new', 'w')); os.rename('new', 'result.json')"


async def test_the_agent_is_the_program_itself(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    assert started.identity and started.wrapper and started.exit is None
    pid = started.identity.pid
    await until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert started.identity == identify(pid)
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    assert pane and pane.pid == started.wrapper.pid
    assert os.getpgid(pid) == started.wrapper.pid
    assert {one.pid for one in marked(runner_id=spec.runner_id)} == {pid, started.wrapper.pid}
    assert runners.files(spec).spec() == spec


async def test_words_arrive_whole(runners: Runners) -> None:
    spec = runners.python(write_json("sys.argv[1:]"), *HOSTILE)
    await runners.launch(spec)
    assert await runners.result(spec) == HOSTILE


async def test_words_that_are_no_text_arrive_whole(runners: Runners) -> None:
    words = [os.fsdecode(bytes(range(1, 256)))]
    spec = runners.python(write_json("[list(os.fsencode(word)) for word in sys.argv[1:]]"), *words)
    await runners.launch(spec)
    assert await runners.result(spec) == [list(os.fsencode(word)) for word in words]


async def test_the_directory_may_have_any_name(runners: Runners) -> None:
    odd = runners.work / 'o\'dd \n "$x" ü'
    odd.mkdir()
    spec = replace(runners.python(write_json("[os.getcwd(), os.environ['PWD']]")), cwd=str(odd))
    await runners.launch(spec)
    await until((odd / "result.json").exists)
    assert json.loads((odd / "result.json").read_text()) == [str(odd), str(odd)]


async def test_the_environment_arrives_whole_and_unseen(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_DAEMON", "secret")
    given = ENVIRONMENT | {
        "KEY": "s3cret-in-no-process-list",
        "LINES_OF": "one\ntwo\n\n'three'",
        "ODD": '$HOME `id` \\ " ü 🦜',
        "EMPTY": "",
        "dir": "names of the wrapper's own",
        "code": "1",
        "boot": "x",
        "signals": "TERM",
    }
    old = {
        "TERM": "vt100",
        "TMUX": "/tmp/x,1,1",
        "COLUMNS": "1",
        "UID": "7",
        "OPTIND": "x",
        "BASH_FUNC_f%%": "() { :; }",
    }
    spec = runners.python(write_json("dict(os.environ)") + "; import time; time.sleep(1000)")
    await runners.launch(spec, given | old | {"STRATAVORE_SESSION_ID": "of an outer session"})
    found = await runners.result(spec)
    assert isinstance(found, dict)
    assert {name: found[name] for name in given} == given
    assert found["STRATAVORE_SESSION_ID"] == spec.session_id
    assert found["STRATAVORE_RUNNER_ID"] == spec.runner_id
    assert found["STRATAVORE_PROJECT"] == "demo"
    assert found["STRATAVORE_HOME"] == str(runners.home.root)
    assert found["TERM"] in {"tmux-256color", "screen-256color"}
    assert not {"TMUX", "TMUX_PANE", "OF_THE_DAEMON", "COLUMNS", "UID", "OPTIND", "BASH_FUNC_f%%"} & set(found)
    lines = [read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(b"s3cret" in line for line in lines)
    assert all(path.stat().st_mode & 0o077 == 0 for path in runners.files(spec).path.glob("*") if path.name == "launch")
    assert runners.files(spec).path.stat().st_mode & 0o777 == 0o700


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(("argv", "code"), [(("no-such-program",), 127), (("/etc/passwd",), 126), (("/",), 126)])
async def test_a_program_that_cannot_be_executed_is_refused(runners: Runners, argv: tuple[str, ...], code: int) -> None:
    spec = runners.spec(*argv)
    await runners.launch(spec)
    record = await runners.exit(spec)
    assert (record.code, record.refused) == (code, True)
    assert argv[0] in (await runners.host.finish(spec.runner_id, spec.project_id)).lines


async def test_a_directory_that_is_gone_is_refused(runners: Runners) -> None:
    spec = replace(runners.spec("true"), cwd="/no/such/directory")
    await runners.launch(spec)
    record = await runners.exit(spec)
    assert (record.code, record.refused) == (126, True)


async def test_an_exit_code_of_127_of_the_program_itself_is_its_own(runners: Runners) -> None:
    spec = runners.shell("exit 127")
    await runners.launch(spec)
    record = await runners.exit(spec)
    assert (record.code, record.refused) == (127, False)


@pytest.mark.parametrize("argv", [(), ("",), ("-c",), ("a\0b",)])
async def test_words_that_cannot_be_run_are_refused_before_anything_is_made(
    runners: Runners, argv: tuple[str, ...]
) -> None:
    spec = runners.spec(*argv)
    with pytest.raises(InvalidInput):
        await runners.launch(spec)
    assert not runners.files(spec).path.exists()


async def test_launching_again_adopts(runners: Runners) -> None:
    spec = runners.shell("echo $$ >>pids; exec sleep 1000")
    first = await runners.launch(spec)
    again = await asyncio.gather(*(Runners.launch(runners, spec) for _ in range(5)))
    assert all(one == first for one in again)
    await until(pids_in(runners.work))
    assert (runners.work / "pids").read_text().split() == [str(first.identity.pid if first.identity else 0)]


async def test_launching_at_once_under_one_id_starts_one(runners: Runners) -> None:
    spec = runners.shell("echo $$ >>pids; exec sleep 1000")
    found = await asyncio.gather(*(runners.launch(spec) for _ in range(5)))
    assert len({one.identity for one in found}) == 1
    await until(pids_in(runners.work))
    assert len((runners.work / "pids").read_text().split()) == 1


async def test_a_second_wrapper_does_not_start(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    await runners.launch(spec)
    (wrapper,) = runners.home.root.glob("wrapper-*.sh")
    second = await asyncio.create_subprocess_exec("sh", str(wrapper), str(runners.files(spec).path))
    assert await second.wait() == 75
    assert runners.files(spec).exit() is None


async def test_launching_what_has_ended_tells_how(runners: Runners) -> None:
    spec = runners.shell("exit 3")
    await runners.launch(spec)
    await runners.exit(spec)
    again = await runners.launch(spec)
    assert again.exit and again.exit.code == 3 and not again.lost


async def test_a_runner_of_which_nothing_is_left_is_lost(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    os.kill(await runners.server(), 9)
    await runners.gone(started.identity, started.wrapper)
    assert (await runners.launch(spec)).lost


async def test_after_the_machine_was_started_again_a_runner_is_lost(runners: Runners) -> None:
    """The same pids may live again, even as processes that started at the same time."""
    spec = runners.spec("sleep", "1000")
    await runners.launch(spec)
    for name in ("started", "pid"):
        path = runners.files(spec).path / name
        path.write_text("00000000-0000-4000-8000-000000000000 " + path.read_text().partition(" ")[2])
    assert (await runners.launch(spec)).lost


async def test_another_process_with_the_pid_is_not_believed(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    assert started.identity and started.wrapper
    own = Path("/proc/self/stat").read_text().split()
    for name, pid in (("started", os.getpid()), ("pid", os.getpid())):
        path = runners.files(spec).path / name
        line = path.read_text().split(" ")
        line[1] = str(pid)  # its start time stays that of the runner's process
        path.write_text(" ".join(line))
    assert int(own[0]) == os.getpid()
    found = runners.host.look(spec.runner_id)
    assert found.lost
    await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
    await runners.gone(started.identity, started.wrapper)  # found by their marker; and this test lives on


async def test_fifty_at_once(runners: Runners) -> None:
    specs = [runners.spec("sleep", "1000") for _ in range(50)]
    started = await asyncio.gather(*(runners.launch(spec) for spec in specs))
    assert len({one.identity for one in started if one.identity}) == 50
    panes = await runners.tmux.runners(runners.project_id)
    assert {spec.runner_id for spec in specs} == set(panes)
    assert all(pane.logged and not pane.dead for pane in panes.values())


async def test_one_that_fails_among_many_fails_alone(runners: Runners) -> None:
    specs: list[RunSpec] = [runners.spec("sleep", "1000") for _ in range(4)]
    specs[2] = replace(specs[2], cols=0)
    results = await asyncio.gather(*(runners.launch(spec) for spec in specs), return_exceptions=True)
    assert isinstance(results[2], TerminalFailed)
    assert "width" in str(results[2])
    assert not any(isinstance(result, BaseException) for number, result in enumerate(results) if number != 2)


async def test_without_tmux_it_says_so(runners: Runners, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissing, match="Install tmux"):
        await runners.launch(runners.spec("sleep", "1000"))


async def test_a_wrapper_that_cannot_begin_is_told_and_can_be_tried_again(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    runners.files(spec).prepare(spec, ENVIRONMENT)
    hidden = runners.home.runners / "hidden"
    runners.files(spec).path.rename(hidden)
    await runners.tmux.start(spec)
    await until(lambda: True)
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    assert pane is not None
    while not pane.dead:
        pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
        assert pane is not None
    hidden.rename(runners.files(spec).path)
    with pytest.raises(LaunchFailed):
        await runners.launch(spec)
    assert (await runners.launch(spec)).identity


async def test_the_log_has_all_from_the_first_byte(runners: Runners) -> None:
    spec = runners.shell("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf end")
    await runners.launch(spec)
    await runners.exit(spec)
    await runners.host.finish(spec.runner_id, spec.project_id)
    expected = "".join(f"line {number}\r\n" for number in range(5000)) + "end"
    log = runners.files(spec).log
    await until(lambda: log.stat().st_size >= len(expected))
    assert log.read_bytes() == expected.encode()


async def test_a_log_that_broke_off_goes_on(runners: Runners) -> None:
    spec = runners.shell("echo one; read x; echo two; read x; echo three; sleep 1000")
    await runners.launch(spec)
    await runners.shows(spec, "one")
    for path in Path("/proc").glob("[0-9]*"):
        cwd = read_link(path / "cwd")
        if read(path / "cmdline") == b"cat\0" and cwd == str(runners.home.root):
            os.kill(int(path.name), 9)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "", enter=True)  # tmux notices when it writes
    pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    while pane and pane.logged:
        pane = await runners.tmux.pane(spec.project_id, spec.runner_id)
    for _ in range(2):  # the second time changes nothing
        await runners.tmux.log_again(spec.project_id, spec.runner_id)
    await runners.tmux.type_text(spec.project_id, spec.runner_id, "", enter=True)
    await runners.shows(spec, "three")


def read_link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


async def test_the_next_runner_ends_what_is_left_of_the_last(runners: Runners) -> None:
    spec = runners.shell("(setsid sleep 1000 & echo $! >child); trap '' HUP TERM; sleep 1000; sleep 1000")
    agent = await runners.agent(spec)
    await until(lambda: (runners.work / "child").exists() and (runners.work / "child").read_text().strip())
    child = identify(int((runners.work / "child").read_text()))
    assert child
    second = await runners.launch(replace(runners.next(spec), argv=("sleep", "1000")))
    assert liveness(agent) is Liveness.DEAD and liveness(child) is Liveness.DEAD
    assert second.identity and liveness(second.identity) is Liveness.ALIVE


async def test_the_next_runner_ends_an_agent_that_hides_its_marker(runners: Runners) -> None:
    spec = runners.spec("env", "-i", shutil.which("sleep") or "", "1000")
    agent = await runners.agent(spec)
    await until(lambda: agent not in marked(runner_id=spec.runner_id))
    await runners.launch(replace(runners.next(spec), argv=("sleep", "1000")))
    assert liveness(agent) is Liveness.DEAD


async def test_an_earlier_runner_gives_way_to_a_later_one(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    later = await runners.agent(runners.next(runners.next(spec)))
    for stale in (spec, runners.next(spec)):
        if stale.generation == 1:
            RunDirectory(runners.home, runners.next(spec).runner_id).path.mkdir()
        with pytest.raises(StaleGeneration):
            await runners.launch(stale)
    assert not await wait_dead(later, 0)


async def test_a_long_state_directory(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    from stratavore.paths import Home

    home = Home(runners.home.root / ("long" * 40))
    home.create()
    long = Runners(home)
    try:
        assert not home.tmux_socket(long.project_id).is_relative_to(home.root)
        assert (await long.launch(long.spec("sleep", "1000"))).identity
    finally:
        guardian.kill_terminals(home)
        shutil.rmtree(home.sockets)


async def test_a_wrapper_that_begins_between_two_questions_is_not_dead(
    runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = runners.spec("cat")
    files = runners.files(spec)
    files.prepare(spec, {})
    (files.path / "started").touch()  # the wrapper has just created it, and has not written yet
    shell, agent = os.getpid(), os.getppid()

    def write(name: str, pid: int) -> None:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (files.path / name).write_text(f"{boot} {Path(f'/proc/{pid}/stat').read_text()}")

    look = runners.host.look

    def first_look(runner_id: str) -> Started:
        found = look(runner_id)
        if files.wrapper() is None:
            write("started", shell)
            asyncio.get_running_loop().call_later(0.1, write, "pid", agent)
        return found

    monkeypatch.setattr(runners.host, "look", first_look)
    started = await runners.launch(spec)
    assert started.wrapper == identify(shell)
    assert started.identity == identify(agent)
