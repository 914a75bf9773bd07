import asyncio
from collections.abc import Sequence

import pytest

from stratavore.runtime.batch import Batch


class Calls:
    """Doubles numbers; remembers what came together, and waits when told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def double(self, items: Sequence[int]) -> list[int | BaseException]:
        self.batches.append(list(items))
        await self.go.wait()
        return [ValueError(item) if item < 0 else 2 * item for item in items]


async def test_calls_of_one_turn_go_together_each_with_its_own_answer() -> None:
    calls = Calls()
    batch = Batch(calls.double)
    assert await asyncio.gather(*(batch(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert calls.batches == [[0, 1, 2, 3, 4]]


async def test_calls_made_meanwhile_are_the_next_batch() -> None:
    calls = Calls()
    calls.go.clear()
    batch = Batch(calls.double)
    first = asyncio.create_task(batch(1))
    while not calls.batches:
        await asyncio.sleep(0)
    others = [asyncio.create_task(batch(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    calls.go.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert calls.batches == [[1], [2, 3]]
    assert await batch(4) == 8
    assert calls.batches[2:] == [[4]]


async def test_an_error_is_that_of_its_own_item() -> None:
    calls = Calls()
    batch = Batch(calls.double)
    results = await asyncio.gather(batch(1), batch(-1), batch(2), return_exceptions=True)
    assert list(results[::2]) == [2, 4]
    assert isinstance(results[1], ValueError)


async def test_a_batch_that_fails_fails_for_all_and_the_next_one_works() -> None:
    failures = [OSError("no process is free")]

    async def run(items: Sequence[int]) -> list[int | BaseException]:
        if failures:
            raise failures.pop()
        return [*items]

    batch = Batch(run)
    results = await asyncio.gather(batch(1), batch(2), return_exceptions=True)
    assert all(isinstance(one, OSError) for one in results)
    assert await batch(3) == 3


async def test_who_gives_up_waiting_leaves_the_others_alone() -> None:
    calls = Calls()
    calls.go.clear()
    batch = Batch(calls.double)
    impatient, patient = asyncio.create_task(batch(1)), asyncio.create_task(batch(2))
    while not calls.batches:
        await asyncio.sleep(0)
    impatient.cancel()
    calls.go.set()
    assert await patient == 4
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_who_gave_up_before_the_batch_left_is_not_in_it() -> None:
    calls = Calls()
    calls.go.clear()
    batch = Batch(calls.double)
    first = asyncio.create_task(batch(1))
    while not calls.batches:
        await asyncio.sleep(0)
    gone, stays = asyncio.create_task(batch(2)), asyncio.create_task(batch(3))
    await asyncio.sleep(0)
    gone.cancel()
    calls.go.set()
    assert list(await asyncio.gather(first, stays)) == [2, 6]
    assert calls.batches == [[1], [3]]


async def test_a_batch_that_is_cancelled_leaves_nobody_waiting() -> None:
    calls = Calls()
    calls.go.clear()
    batch = Batch(calls.double)
    under_way = asyncio.create_task(batch(1))
    while not calls.batches:
        await asyncio.sleep(0)
    in_line = asyncio.create_task(batch(2))
    await asyncio.sleep(0)
    assert batch._task is not None
    batch._task.cancel()
    results = await asyncio.wait_for(asyncio.gather(under_way, in_line, return_exceptions=True), 10)
    assert all(isinstance(one, asyncio.CancelledError) for one in results)
