"""Commands against a daemon that is slow, silent, gone in the middle, of another version, or no daemon at all."""

import fcntl
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cli.service import service
from stratavore import __version__
from stratavore.errors import UnknownCall
from stratavore.models.states import SessionState
from stratavore.paths import Home
from tests.support.fake_daemon import FakeDaemon, Raw, serve
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve, only

OTHER = "9.0.0"

Answers = dict[str, Any]
Case = tuple[tuple[str, ...], str]

COMMANDS: list[Case] = [
    (("launch", "site", "--detach"), "launch"),
    (("kill", "site"), "command"),
    (("pause", "site"), "command"),
    (("resume", "site"), "command"),
    (("restart", "site"), "restart"),
    (("send", "site", "hello"), "send"),
    (("send", "--wait", "site", "hello"), "send"),
    (("quotas", "set", "site", "max-runners", "3"), "set_quota"),
    (("status",), "status"),
    (("sessions",), "list_sessions"),
]
"""What is typed, and the call that matters of those it makes."""

every_command = pytest.mark.parametrize(("words", "method"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])


def willing() -> Answers:
    """The answers of a daemon that does what it is asked."""
    state = {"now": SessionState.RUNNING}

    def command(action: str, **_: Any) -> list[dict[str, Any]]:
        state["now"] = {"terminate": SessionState.ENDED, "pause": SessionState.PAUSED}.get(action, state["now"])
        return [{"session_id": examples.FIRST, "generation": 1}]

    return {
        "list_projects": [examples.project()],
        "launch": lambda session_ids, **_: session_ids,
        "command": command,
        "restart": [{"session_id": examples.FIRST, "generation": 1}],
        "wait": lambda session_id, generation=0, **_: examples.session(
            session_id, state=state["now"], generation=max(generation, 1)
        ),
        "send": {"session_id": examples.FIRST},
        "reply": {"state": "answered", "text": "All is well."},
        "set_quota": [examples.quota()],
        "status": examples.status(examples.session()),
        "list_sessions": [examples.session()],
    }


@pytest.fixture
def straight(home: Home, monkeypatch: pytest.MonkeyPatch, run: Run) -> FakeDaemon:
    """What is asked past the daemon, and answered as one that is well would."""

    class Straight(FakeDaemon):
        def call(self, method: str, params: Answers) -> Any:
            """Answer as ``Direct`` does."""
            self.calls.append((method, params))
            return self._result(method, params)

    found = Straight(willing())
    monkeypatch.setattr(service, "_direct", found)
    return found


@pytest.mark.parametrize(
    "cut",
    [Raw(b""), Raw(b'{"resu'), Raw(b'{"result": {"session_id": "1a2b"}, "version"')],
    ids=["after the question", "mid-word", "mid-answer"],
)
@every_command
def test_a_daemon_that_dies_in_its_answer(
    run: Run, fake: Serve, straight: FakeDaemon, words: tuple[str, ...], method: str, cut: Raw
) -> None:
    """What it was asked is asked once more past it, with the same ids: so it happens once."""
    daemon = fake(**(willing() | {method: cut}))
    result = run(*words)
    assert result.code == 0, result
    asked, again = only(daemon.asked(method)), only(straight.asked(method))
    # There is nobody to wait for, and it may have been done before; all else is the same.
    special = {"wait": None, "again": None}
    assert again | special == asked | special
    assert "The daemon is not running: " in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("words", "method", "becomes"),
    [
        (*COMMANDS[0], SessionState.RUNNING),
        (*COMMANDS[1], SessionState.ENDED),
        (*COMMANDS[2], SessionState.PAUSED),
        (*COMMANDS[3], SessionState.RUNNING),
        (*COMMANDS[4], SessionState.RUNNING),
    ],
)
def test_a_daemon_that_dies_while_its_effect_is_waited_for(
    run: Run, fake: Serve, straight: FakeDaemon, words: tuple[str, ...], method: str, becomes: SessionState
) -> None:
    daemon = fake(**(willing() | {"wait": Raw(b"")}))
    straight.answers["wait"] = lambda session_id, generation=0, **_: examples.session(
        session_id, state=becomes, generation=max(1, generation)
    )
    result = run(*words)
    assert result.code == 0, result
    assert len(daemon.asked(method)) == 1
    assert straight.asked(method) == [], "it was answered: nothing is asked twice"
    assert f"  {becomes}\n" in result.out, "what was seen is told"
    assert result.err.count("what was asked for is noted, and takes effect when a daemon is back") == 1


def test_a_daemon_that_dies_while_a_reply_is_waited_for(run: Run, fake: Serve, straight: FakeDaemon) -> None:
    daemon = fake(**(willing() | {"reply": Raw(b"")}))
    result = run("send", "--wait", "site", "hello")
    assert (result.code, result.out) == (0, "All is well.\n")
    assert straight.asked("send") == []
    assert only(straight.asked("reply")) == only(daemon.asked("reply"))
    assert "the reply is printed when a daemon is back" in result.err


@pytest.mark.parametrize(
    "noise",
    [b"\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\xfe\n", b"[]\n", b"7\n", b"{}\n", b'{"error": "no"}\n'],
)
@every_command
def test_what_answers_is_no_daemon(
    run: Run, fake: Serve, straight: FakeDaemon, words: tuple[str, ...], method: str, noise: bytes
) -> None:
    fake(**(willing() | {method: Raw(noise)}))
    result = run(*words)
    assert (result.code, result.out) == (4, ""), result
    assert result.err.startswith("Error: What listens at ")
    assert result.err.count("\n") == 1
    assert straight.asked(method) == [], "who is not understood may have done it"


@every_command
def test_a_daemon_that_does_not_know_the_call(
    home: Home, run: Run, straight: FakeDaemon, words: tuple[str, ...], method: str
) -> None:
    """An older one: one sentence names both versions and the way out, and nothing is done past it."""
    answers = willing()
    del answers[method]
    with serve(home, answers, "0.0.1") as daemon:
        result = run(*words)
    assert (result.code, result.out) == (4, "")
    assert result.err == (
        f"Error: The daemon is of version 0.0.1, this program of version {__version__}, and they do not understand "
        "each other. Upgrade the older one, then start the daemon anew: stratavore daemon stop, and "
        "stratavore daemon start (sessions go on).\n"
    )
    assert len(daemon.asked(method)) == 1
    assert straight.calls == []


@pytest.mark.parametrize(
    ("words", "method", "key"),
    [
        (("status",), "status", "health"),
        (("sessions", "--format", "json"), "list_sessions", "unpriced_tokens"),
        (("kill", "site"), "wait", "reason"),
        (("quotas", "set", "site", "max-runners", "3"), "set_quota", "source"),
    ],
)
def test_an_older_daemon_whose_answers_lack_something(
    home: Home, run: Run, words: tuple[str, ...], method: str, key: str
) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(one) for one in value]
        return {name: one for name, one in value.items() if name != key}

    def lacking(**params: Any) -> Any:
        found = answers[method]
        return without(found(**params) if callable(found) else found)

    answers = willing()
    with serve(home, answers | {method: lacking}, "0.0.1"):
        result = run(*words)
    assert result.code == 4, result
    assert f"The daemon is of version 0.0.1, this program of version {__version__}" in result.err


def test_a_fault_of_this_program_is_not_blamed_on_the_version(run: Run, fake: Serve) -> None:
    fake(list_sessions=[{}])
    result = run("sessions")
    assert result.code == 1
    assert result.err.startswith("Error: Something unexpected happened: KeyError")


@every_command
def test_a_newer_daemon_tells_more_and_that_is_left_alone(
    home: Home, run: Run, fake: Serve, words: tuple[str, ...], method: str
) -> None:
    def more(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: more(one) for name, one in value.items()} | {"newer": {"nested": [1]}}
        return [more(one) for one in value] if isinstance(value, list) else value

    def wordy(found: Any) -> Callable[..., Any]:
        return lambda **params: more(found(**params) if callable(found) else found)

    answers = {name: wordy(found) for name, found in willing().items()}
    # What is counted by name may have any name.
    answers["status"] = lambda **_: examples.status(examples.session()) | {"newer": 1}
    with serve(home, answers, OTHER):
        newer = run(*words)
    fake(**willing())
    same = run(*words)
    assert newer.code == same.code == 0, newer
    if method != "launch":  # whose ids are new each time
        assert newer == same


def test_an_error_that_only_a_newer_daemon_knows(run: Run, fake: Serve) -> None:
    error = {"code": "no_moon", "message": "The moon is not up. Wait for it.", "exit_code": 5, "until": "21:00"}
    fake(list_sessions=Raw(json.dumps({"error": error, "newer": 1}).encode() + b"\n"))
    assert run("sessions") == (5, "", "Error: The moon is not up. Wait for it.\n")


@pytest.mark.parametrize("seconds", [1, 4])
def test_a_slow_daemon_is_waited_for(run: Run, fake: Serve, straight: FakeDaemon, seconds: int) -> None:
    fake(list_sessions=lambda **_: threading.Event().wait(seconds) or [examples.session()])
    result = run("sessions")
    assert (result.code, result.err) == (0, "")
    assert examples.FIRST[:8] in result.out
    assert straight.calls == []


def test_a_daemon_that_never_answers(home: Home, run: Run) -> None:
    """And no server is known to go to: it lives, so it is not to be started."""
    home.daemon_lock.write_text("4711\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()
        result = run("kill", "site")
        assert result == (
            4,
            "",
            "Error: The daemon (process 4711) lives but does not answer. Wait, or end it with: kill -9 4711 (agents go "
            "on, and the next one takes them over).\n",
        )
        assert run("status").err == result.err, "and is not waited for again"


@every_command
def test_a_socket_that_nobody_listens_on(
    home: Home, run: Run, straight: FakeDaemon, words: tuple[str, ...], method: str
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
    result = run(*words)
    assert result.code == 0, result
    assert len(straight.asked(method)) == 1
    assert result.err.count("The daemon is not running: ") == 1


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ((), "The daemon does not answer. Start it with: stratavore daemon start.\n"),
        ((Raw(b'{"item": {"id":'),), "The daemon does not answer. Start it with: stratavore daemon start.\n"),
        ((Raw(b"noise\n"),), "What listens at "),
    ],
    ids=["between events", "mid-event", "noise"],
)
def test_a_stream_that_breaks_off(run: Run, fake: Serve, last: tuple[Raw, ...], said: str) -> None:
    event = {"id": "1", "type": "runner.failed", "time": examples.NOW.isoformat(), "newer": True}
    fake(subscribe=lambda **_: iter([event, *last]))
    result = run("events", "subscribe", "--format", "json")
    assert result.code == 4
    assert [json.loads(line)["id"] for line in result.out.splitlines()] == ["1"]
    assert result.err.startswith(f"Error: {said}")


def test_a_daemon_of_another_version_can_be_told_to_stop(home: Home, run: Run) -> None:
    """The way out that the sentence names works with any version: here it ends as it is told."""
    with home.daemon_lock.open("w") as lock:

        def stop() -> Answers:
            lock.close()
            return {}

        fcntl.flock(lock, fcntl.LOCK_EX)
        with serve(home, {"stop_daemon": stop}, "0.0.1"):
            assert run("daemon", "stop") == (0, "", "The daemon has stopped; sessions and servers go on.\n")


def test_the_daemons_word_for_a_call_that_it_does_not_know() -> None:
    wire = UnknownCall(call="fly", version="1.2.3").to_wire()
    assert wire["code"] == "unknown_call"
    assert "'fly'" in wire["message"] and "1.2.3" in wire["message"]
