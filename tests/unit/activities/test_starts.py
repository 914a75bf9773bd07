"""Turns for starting, without agents."""

import asyncio

import pytest

from activities.starts import Starts
from tests.support.waiting import until


class Agents:
    """Which agents were started, in their order, and which of them are up."""

    def __init__(self, at_once: int, **given: float) -> None:
        self.started: list[str] = []
        self.up: set[str] = set()
        self._starts = Starts(at_once, self.up.__contains__, **given)

    async def start(self, name: str, *, fails: bool = False) -> None:
        async with self._starts.turn(name):
            self.started.append(name)
            if fails:
                raise OSError(name)


async def test_the_next_one_begins_when_one_is_up_in_the_order_in_which_they_came() -> None:
    agents = Agents(2)
    waiting = [asyncio.create_task(agents.start(name)) for name in "abcd"]
    await until(lambda: len(agents.started) == 2)
    for up, expected in (("b", "abc"), ("a", "abcd")):
        assert "".join(agents.started) == expected[:-1]
        agents.up.add(up)
        await until(lambda expected=expected: "".join(agents.started) == expected)  # type: ignore[misc]
    await asyncio.gather(*waiting)


async def test_one_that_fails_gives_its_turn_back() -> None:
    agents = Agents(1)
    with pytest.raises(OSError, match="a"):
        await agents.start("a", fails=True)
    await agents.start("b")
    assert agents.started == ["a", "b"]


async def test_one_that_is_called_off_while_it_waits_takes_no_turn() -> None:
    agents = Agents(1)
    await agents.start("a")
    called_off = asyncio.create_task(agents.start("b"))
    last = asyncio.create_task(agents.start("c"))
    await asyncio.sleep(0)
    called_off.cancel()
    agents.up.add("a")
    await last
    assert agents.started == ["a", "c"]


async def test_one_that_never_comes_up_holds_up_nobody_for_ever() -> None:
    agents = Agents(1, settle_seconds=0.05)
    await agents.start("a")
    await agents.start("b")
    assert agents.started == ["a", "b"]
