"""Who asks a file system that does not answer waits for a while, in one thread a place, and holds up nobody else."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from activities.runners import RunnerActivities
from stratavore import mounts
from stratavore.directories import check_directory
from stratavore.errors import SilentDirectory
from stratavore.models.session import LaunchSpec
from stratavore.models.steps import ReceiveRequest
from stratavore.mounts import ask, look
from stratavore.paths import Home
from stratavore.threads import Unwaited, reserved

MANY = 40


@contextmanager
def silence(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[None]:
    """``os.stat`` of it does not answer."""
    real, over = os.stat, threading.Event()

    def stat(path: Any, *words: Any, **named: Any) -> Any:
        if not isinstance(path, int) and os.fsdecode(path) == str(directory):
            over.wait()
        return real(path, *words, **named)

    monkeypatch.setattr(os, "stat", stat)
    try:
        yield
    finally:
        over.set()


def asking() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("asks ")]


async def test_one_that_does_not_answer_keeps_one_thread_and_others_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "silent"
    silent.mkdir()
    with silence(monkeypatch, silent):
        looks = (look(silent, lambda: check_directory(silent), seconds=0.2) for _ in range(MANY))
        for one in await asyncio.gather(*looks, return_exceptions=True):
            assert isinstance(one, SilentDirectory)
            assert str(one).startswith(f"The directory {silent} does not answer")
        assert asking() == [f"asks {silent}"]
        began = monotonic()
        with pytest.raises(TimeoutError, match="does not answer"):  # at once: it has had its time
            await ask(silent, lambda: None, seconds=0.1)
        assert monotonic() - began < 0.1
        assert await ask(tmp_path, lambda: "others") == "others"
        assert await reserved(lambda: "the lease") == "the lease"
    await look(silent, lambda: check_directory(silent))
    assert asking() == []


async def test_who_waits_for_one_that_answers_late_has_its_turn(tmp_path: Path) -> None:
    late = threading.Event()
    asked = [asyncio.create_task(ask(tmp_path, lambda one=one: late.wait() and one)) for one in range(MANY)]  # type: ignore[misc]
    await asyncio.sleep(0)
    asked.pop().cancel()
    late.set()
    assert await asyncio.gather(*asked) == list(range(MANY - 1))
    with pytest.raises(ZeroDivisionError):
        await ask(tmp_path, lambda: 1 // 0)


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
def test_one_whose_other_end_is_away_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def stat(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat)
        with pytest.raises(SilentDirectory):
            check_directory(tmp_path)


async def test_a_host_whose_directory_does_not_answer_receives_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    nothing = cast("Any", SimpleNamespace())
    activities = RunnerActivities(home, nothing, nothing, nothing, nothing, nothing)
    silent = tmp_path / "silent"
    silent.mkdir()
    spec = LaunchSpec(agent="command", argv=("cat",), cwd=str(silent))
    request = ReceiveRequest(session_id="s", host="b", spec=spec)
    with silence(monkeypatch, silent):
        for one in await asyncio.gather(*(activities.receive(request) for _ in range(MANY))):
            assert f"cannot start it: The directory {silent} does not answer" in (one.refusal or "")
        here = request.model_copy(update={"spec": spec.model_copy(update={"cwd": str(tmp_path)})})
        assert (await activities.receive(here)).refusal is None


def test_a_loop_ends_with_a_thread_that_hangs() -> None:
    over = threading.Event()

    async def hang() -> None:
        asyncio.get_running_loop().set_default_executor(Unwaited())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(over.wait), 0.1)

    try:
        asyncio.run(hang())
    finally:
        over.set()
    assert mounts.ANSWER_SECONDS < 30  # below what callers of the private API wait
