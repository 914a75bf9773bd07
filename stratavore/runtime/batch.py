"""Many small calls made at once become one large one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batch(Generic[T, R]):
    """Calls made in one turn of the loop, or while a batch is on its way, go together as the next batch.

    ``run`` answers each item with its result or its exception, in order; if it raises, that is the answer to
    every item.
    """

    def __init__(self, run: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]]) -> None:
        self._run = run
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Take part in the next batch and return this item's result."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # who calls in the same turn comes along
                batch = [(item, answer) for item, answer in self._waiting if not answer.done()]
                self._waiting = []
                if batch:
                    await self._answer(batch)
        finally:
            self._task = None
            for _, answer in self._waiting:
                answer.cancel()
            self._waiting = []

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._run([item for item, _ in batch])
        except BaseException as error:
            results = [error] * len(batch)
            if not isinstance(error, Exception):
                raise
        finally:
            for (_, answer), result in zip(batch, results, strict=True):
                if answer.done():
                    continue
                if isinstance(result, asyncio.CancelledError):
                    answer.cancel()
                elif isinstance(result, BaseException):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
