"""Typing into an agent: only when a prompt can be typed, whole, once, and seen to be taken."""

import asyncio
from dataclasses import replace
from time import monotonic, time
from typing import Protocol
from weakref import WeakValueDictionary

from activities.terminal import Beginning, Emptied, Gone, NotReady, NotTyped, Terminal, digest, plain
from stratavore.agents.adapter import Box, Question
from stratavore.agents.registry import adapter_for
from stratavore.errors import StratavoreError
from stratavore.killpoints import effect
from stratavore.models.steps import SendRequest, Sent
from stratavore.paths import Home
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux
from stratavore.store import requests
from stratavore.store.database import Database

LOOK_SECONDS = 0.1
SHOWN_SECONDS = 3.0
"""Until pasted text shows in the box."""
TAKEN_SECONDS = 6.0
"""Until a prompt is taken."""
QUEUED_SECONDS = 1.0
"""A box that stays empty for so long has given its text away, though no hook told of it: it works, and will take it."""
_AGAIN_SECONDS = 1.5

_INTERRUPTED = "the daemon was interrupted while typing; look at the terminal before sending it again"


class Attention(Protocol):
    """Who knows what agents do."""

    def asks(self, runner_id: str) -> bool:
        """Whether a runner's agent asks something, by all that it has told so far."""

    def rests(self, runner_id: str) -> bool:
        """Whether a runner's agent is known to wait for a prompt."""

    def answered(self, runner_id: str) -> None:
        """Its question was answered."""


class Typist:
    """Types what people send."""

    def __init__(self, home: Home, database: Database, tmux: Tmux, monitor: Attention) -> None:
        self._home = home
        self._database = database
        self._tmux = tmux
        self._monitor = monitor
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, request: SendRequest) -> Sent:
        """Type the text, at most once. What became of it is kept under the request's id."""
        terminal = Terminal(
            request, adapter_for(request.agent), self._tmux, RunDirectory(self._home, request.runner_id)
        )
        lock = self._locks.setdefault(request.runner_id, asyncio.Lock())
        try:
            if await self._begun_before(terminal):
                return Sent(typed=True)
            if request.answer:
                async with lock:
                    await self._answer(terminal)
            elif terminal.began_here is not None:
                async with lock:
                    await self._go_on(terminal, terminal.began_here)
            elif terminal.adapter.hooks:
                await self._prompt(terminal, lock)
            else:
                await self._type(terminal)
        except NotReady as reason:
            gone = isinstance(reason, Gone) and not request.answer  # the next runner does not ask that question
            if request.patient or gone:
                return Sent(typed=False, reason=str(reason), gone=gone)
            return await self._refuse(request, str(reason))
        except (NotTyped, StratavoreError) as reason:
            if request.patient and isinstance(reason, StratavoreError) and not terminal.begun:
                return Sent(typed=False, reason=str(reason))  # a terminal that fails for a moment
            return await self._refuse(request, str(reason))
        return Sent(typed=True)

    async def _begun_before(self, terminal: Terminal) -> bool:
        """Whether an earlier try is known to have typed it. Who finds only that it began does not type again."""
        request = terminal.request
        async with self._database.pool.acquire() as connection:
            outcome = await requests.outcome(connection, request.request_id)
        if outcome is None:
            return False
        if outcome.state == "done":
            return True
        if outcome.state == "refused":
            raise NotTyped(outcome.detail)
        begun = Beginning.read(outcome.detail)
        if request.answer:  # no hook tells of it, but the screen does
            if not begun.question:
                raise NotTyped(_INTERRUPTED)
            terminal.began_before, terminal.answers = outcome.detail, begun.question
            return False
        died = begun.runner_id not in ("", request.runner_id)
        typed_to = replace(terminal, run=RunDirectory(self._home, begun.runner_id)) if died else terminal
        taken = typed_to.taken_since(begun.offset)
        if taken is not None:
            await self._finish(request, taken, told_by=typed_to.run.runner_id)
            return True
        if not terminal.adapter.tells_when_taken(request.text) or (not died and not request.enter):
            raise NotTyped(_INTERRUPTED)
        terminal.began_before = outcome.detail
        terminal.began_here = None if died else begun.offset
        return False

    async def _begin(self, terminal: Terminal) -> int:
        """Commit that it is about to be typed. Returns from where on the hooks tell of it."""
        request, offset = terminal.request, terminal.hooks_size()
        async with self._database.transaction("send.begin") as transaction:
            first = await requests.begin(
                transaction.connection,
                request.request_id,
                request.session_id,
                _kind(request),
                str(Beginning(offset, request.runner_id, terminal.answers)),
                instead_of=terminal.began_before,
            )
        if not first:
            raise NotTyped(_INTERRUPTED)
        terminal.begun = True
        return offset

    async def _finish(self, request: SendRequest, at: float | None, *, told_by: str = "") -> None:
        """Keep when it was typed; or taken, as a runner told."""
        async with self._database.transaction("send.finish") as transaction:
            await requests.finish(
                transaction.connection,
                request.request_id,
                request.session_id,
                _kind(request),
                detail=None if at is None else f"{at} {told_by}".strip(),
            )

    async def _refuse(self, request: SendRequest, reason: str) -> Sent:
        async with self._database.transaction("send.refuse") as transaction:
            await requests.refuse(
                transaction.connection, request.request_id, request.session_id, _kind(request), reason
            )
        return Sent(typed=False, refused=True, reason=reason)

    async def _type(self, terminal: Terminal) -> None:
        """Into a program of which nothing is known."""
        await terminal.box()
        await self._begin(terminal)
        with effect("send.type"):
            await terminal.paste(terminal.request.text)
            if terminal.request.enter:
                await terminal.press("Enter")
        await self._finish(terminal.request, None)

    async def _prompt(self, terminal: Terminal, lock: asyncio.Lock) -> None:
        """Into the box, once it is there and empty; whoever else wants to type now waits."""
        deadline = monotonic() + terminal.request.patience.total_seconds()
        emptied = Emptied()
        while True:
            async with lock:
                if await self._ready(terminal, emptied):
                    await self._submit(terminal)
                    return
            if monotonic() >= deadline:
                raise NotReady("its prompt was not there in time; look at its terminal")
            await asyncio.sleep(LOOK_SECONDS)

    async def _submit(self, terminal: Terminal) -> None:
        offset = await self._begin(terminal)
        typed_at = time()
        with effect("send.type"):
            await terminal.paste(terminal.request.text)
            box = await self._shown(terminal)
            if box.question is not None or self._monitor.asks(terminal.request.runner_id):
                raise NotTyped("it asked a question just then, and Enter would have answered it; the text is not sent")
        if not terminal.request.enter:
            await self._typed(terminal, None, typed_at)
            return
        with effect("send.enter"):
            await terminal.press("Enter")
        taken_at = await self._taken(terminal, offset)
        await self._typed(terminal, taken_at, typed_at)

    async def _go_on(self, terminal: Terminal, offset: int) -> None:
        """Where an earlier try was interrupted: what it did is seen in the box, and told by hooks."""
        if await self._enter(terminal, offset):
            return
        offset = await self._begin(terminal)
        with effect("send.type"):
            await terminal.paste(terminal.request.text)
        if not await self._enter(terminal, offset):
            raise NotTyped(_INTERRUPTED)

    async def _enter(self, terminal: Terminal, offset: int) -> bool:
        """Press Enter once the text, and nothing but it, stands in the box; unless it was taken already.

        Returns:
            False: nothing of it ever came to an agent that rests.

        Raises:
            NotTyped: it cannot be told what came of it.
        """
        deadline, empty = monotonic() + TAKEN_SECONDS, True
        while (taken_at := terminal.taken_since(offset)) is None:
            box = await terminal.box()
            asks = self._monitor.asks(terminal.request.runner_id)
            if box.ready and not asks and plain(box.typed) == plain(terminal.request.text):
                await terminal.press("Enter")
                taken_at = await self._taken(terminal, offset)
                break
            empty = empty and box.ready and not box.typed
            if monotonic() >= deadline:
                if empty and self._monitor.rests(terminal.request.runner_id):
                    return False
                raise NotTyped(_INTERRUPTED)
            await asyncio.sleep(LOOK_SECONDS)
        await self._typed(terminal, taken_at, time())
        return True

    async def _typed(self, terminal: Terminal, taken_at: float | None, typed_at: float) -> None:
        if taken_at is None:
            await self._finish(terminal.request, typed_at)
        else:
            await self._finish(terminal.request, taken_at, told_by=terminal.run.runner_id)

    async def _ready(self, terminal: Terminal, emptied: Emptied) -> bool:
        """Whether the box is there and empty; one that is not is emptied, for the next look."""
        box = await terminal.box()
        if box.question is not None and not terminal.request.patient:
            asked = " ".join(box.question.text.split())
            raise NotReady(f'it asks a question, and Enter would answer it: "{asked}". Answer it with --answer')
        if not box.ready or self._monitor.asks(terminal.request.runner_id):  # a question may be told before it is shown
            return False
        if not box.typed or emptied.in_vain(box.typed):
            return True
        await terminal.press(*terminal.adapter.keys_to_clear(box))
        return False

    async def _shown(self, terminal: Terminal) -> Box:
        """Wait until the box shows what was pasted."""
        deadline = monotonic() + SHOWN_SECONDS
        while True:
            box = await terminal.box()
            if box.typed or box.question is not None or monotonic() >= deadline:
                return box
            await asyncio.sleep(LOOK_SECONDS / 2)

    async def _taken(self, terminal: Terminal, offset: int) -> float | None:
        """Wait until the prompt was taken. Returns when, if it told."""
        begun = monotonic()
        empty_since: float | None = None
        pressed = 1
        while monotonic() < begun + TAKEN_SECONDS:
            if taken := terminal.taken_since(offset):
                return taken
            try:
                box = await terminal.box()
            except Gone:
                if taken := terminal.taken_since(offset):  # the last that it did
                    return taken
                raise
            now = monotonic()
            empty_since = None if box.ready and box.typed else empty_since or now
            if empty_since is not None and now >= empty_since + QUEUED_SECONDS:
                return None
            if empty_since is None and pressed == 1 and now >= begun + _AGAIN_SECONDS:
                pressed += 1  # the first one chose a completion
                await terminal.press("Enter")
            await asyncio.sleep(LOOK_SECONDS)
        raise NotTyped("it stands in the prompt and was not taken; look at the terminal")

    async def _asked(self, terminal: Terminal) -> Question | None:
        """The question on its screen; one that was only told yet is about to be drawn."""
        deadline = monotonic() + SHOWN_SECONDS
        while True:
            told = self._monitor.asks(terminal.request.runner_id)
            if question := (await terminal.box()).question:
                return question
            if not told or monotonic() >= deadline:
                return None
            await asyncio.sleep(LOOK_SECONDS)

    async def _answer(self, terminal: Terminal) -> None:
        request = terminal.request
        asked = await self._asked(terminal)
        if terminal.answers and (asked is None or digest(asked) != terminal.answers):
            await self._finish(request, time())  # by an earlier try: what is asked now, nobody has seen
            return
        if asked is None:
            raise NotTyped("it asks no question now; send it without --answer")
        answer = terminal.adapter.answer(asked, request.text)
        if answer is None:
            options = "; ".join(f"{one.key} {one.label}".strip() for one in asked.options)
            raise NotTyped(f"'{request.text}' is no answer to its question. The answers are: {options}")
        terminal.answers = digest(asked)
        await self._begin(terminal)
        with effect("send.type"):
            await terminal.press(*answer.keys)
            if answer.text is not None:
                await asyncio.sleep(LOOK_SECONDS)
                await terminal.paste(answer.text)
                await asyncio.sleep(LOOK_SECONDS)
                await terminal.press("Enter")
        deadline = monotonic() + TAKEN_SECONDS
        while (now := (await terminal.box()).question) is not None and now.text == asked.text:
            if monotonic() >= deadline:
                raise NotTyped("its question is still open; look at the terminal")
            await asyncio.sleep(LOOK_SECONDS)
        self._monitor.answered(request.runner_id)
        await self._finish(request, time())


def _kind(request: SendRequest) -> str:
    """Nobody waits for the outcome of a launch's prompt: a refusal is shown with its session."""
    return "prompt" if request.patient else "send"
