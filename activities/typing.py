"""Typing into an agent: only when a prompt can be typed, whole, once, and seen to be taken."""

import asyncio
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import Protocol
from weakref import WeakValueDictionary

from stratavore.agents.adapter import Adapter, Box, Question
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
_IN_VAIN = 5

_INTERRUPTED = "the daemon was interrupted while typing; look at the terminal before sending it again"


class NotTyped(Exception):
    """Why not, as a clause for people."""


class NotReady(NotTyped):
    """It cannot be typed now, but later perhaps."""


class Gone(NotReady):
    """Never into this runner, but perhaps into the next one."""


@dataclass
class _Terminal:
    """The runner's terminal, and what of it is read."""

    request: SendRequest
    adapter: Adapter
    tmux: Tmux
    run: RunDirectory
    began_before: str | None = None
    """How it was begun with a runner that died and never took it."""

    async def box(self) -> Box:
        screen = await self.tmux.capture(self.request.project_id, self.request.runner_id)
        if screen is None or self.run.exit() is not None:
            raise Gone("its program has ended")
        return self.adapter.box(screen)

    async def press(self, *keys: str) -> None:
        await self.tmux.press(self.request.project_id, self.request.runner_id, keys)

    async def paste(self, text: str) -> None:
        await self.tmux.type_text(self.request.project_id, self.request.runner_id, text, enter=False)

    def hooks_size(self) -> int:
        try:
            return self.run.hooks.stat().st_size
        except OSError:
            return 0

    def taken_since(self, offset: int) -> float | None:
        """When the request's text was taken as a prompt, by the hooks from an offset on."""
        try:
            with self.run.hooks.open("rb") as file:
                file.seek(offset)
                lines = file.read().splitlines()
        except OSError:
            return None
        for line in lines:
            taken = self.adapter.prompt_taken(line)
            if taken and _plain(self.request.text) in _plain(taken[1]):
                return taken[0]
        return None


class Attention(Protocol):
    """Who knows what agents ask."""

    def asks(self, runner_id: str) -> bool:
        """Whether a runner's agent asks something, by all that it has told so far."""

    def answered(self, runner_id: str) -> None:
        """Its question was answered."""


class Emptied:
    """What was in a box that is being emptied. What no key deletes is no text, but a hint that the box shows."""

    def __init__(self) -> None:
        self._before: str | None = None
        self._times = 0

    def in_vain(self, typed: str) -> bool:
        """Whether it stays as it is, however often it is emptied."""
        self._times = self._times + 1 if typed == self._before else 0
        self._before = typed
        return self._times >= _IN_VAIN


class Typist:
    """Types what people send."""

    def __init__(self, home: Home, database: Database, tmux: Tmux, monitor: Attention) -> None:
        self._home = home
        self._database = database
        self._tmux = tmux
        self._asks = monitor.asks
        self._answered = monitor.answered
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, request: SendRequest) -> Sent:
        """Type the text, at most once. What became of it is kept under the request's id."""
        terminal = _Terminal(
            request, adapter_for(request.agent), self._tmux, RunDirectory(self._home, request.runner_id)
        )
        lock = self._locks.setdefault(request.runner_id, asyncio.Lock())
        try:
            if await self._begun_before(terminal):
                return Sent(typed=True)
            if request.answer:
                async with lock:
                    await self._answer(terminal)
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
            return await self._refuse(request, str(reason))
        return Sent(typed=True)

    async def _begun_before(self, terminal: _Terminal) -> bool:
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
        offset, _, runner_id = (outcome.detail or "0").partition(" ")
        died = runner_id not in ("", request.runner_id)
        typed_to = replace(terminal, run=RunDirectory(self._home, runner_id)) if died else terminal
        taken = typed_to.taken_since(int(offset))
        if taken is not None:
            await self._finish(request, taken, told_by=typed_to.run.runner_id)
            return True
        if not died or not terminal.adapter.tells_when_taken(request.text):
            raise NotTyped(_INTERRUPTED)
        terminal.began_before = outcome.detail
        return False

    async def _begin(self, terminal: _Terminal) -> int:
        """Commit that it is about to be typed. Returns from where on the hooks tell of it."""
        request, offset = terminal.request, terminal.hooks_size()
        async with self._database.transaction("send.begin") as transaction:
            first = await requests.begin(
                transaction.connection,
                request.request_id,
                request.session_id,
                _kind(request),
                f"{offset} {request.runner_id}",
                instead_of=terminal.began_before,
            )
        if not first:
            raise NotTyped(_INTERRUPTED)
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

    async def _type(self, terminal: _Terminal) -> None:
        """Into a program of which nothing is known."""
        await terminal.box()
        await self._begin(terminal)
        with effect("send.type"):
            await terminal.paste(terminal.request.text)
            if terminal.request.enter:
                await terminal.press("Enter")
        await self._finish(terminal.request, None)

    async def _prompt(self, terminal: _Terminal, lock: asyncio.Lock) -> None:
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

    async def _submit(self, terminal: _Terminal) -> None:
        offset = await self._begin(terminal)
        typed_at = time()
        with effect("send.type"):
            await terminal.paste(terminal.request.text)
            box = await self._shown(terminal)
            if box.question is not None or self._asks(terminal.request.runner_id):
                raise NotTyped("it asked a question just then, and Enter would have answered it; the text is not sent")
            if terminal.request.enter:
                await terminal.press("Enter")
        taken_at = await self._taken(terminal, offset) if terminal.request.enter else None
        if taken_at is None:
            await self._finish(terminal.request, typed_at)
        else:
            await self._finish(terminal.request, taken_at, told_by=terminal.run.runner_id)

    async def _ready(self, terminal: _Terminal, emptied: Emptied) -> bool:
        """Whether the box is there and empty; one that is not is emptied, for the next look."""
        box = await terminal.box()
        if box.question is not None and not terminal.request.patient:
            asked = " ".join(box.question.text.split())
            raise NotReady(f'it asks a question, and Enter would answer it: "{asked}". Answer it with --answer')
        if not box.ready or self._asks(terminal.request.runner_id):  # a question may be told before it is shown
            return False
        if not box.typed or emptied.in_vain(box.typed):
            return True
        await terminal.press(*terminal.adapter.keys_to_clear(box))
        return False

    async def _shown(self, terminal: _Terminal) -> Box:
        """Wait until the box shows what was pasted."""
        deadline = monotonic() + SHOWN_SECONDS
        while True:
            box = await terminal.box()
            if box.typed or box.question is not None or monotonic() >= deadline:
                return box
            await asyncio.sleep(LOOK_SECONDS / 2)

    async def _taken(self, terminal: _Terminal, offset: int) -> float | None:
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

    async def _asked(self, terminal: _Terminal) -> Question:
        """The question on its screen; one that was only told yet is about to be drawn."""
        deadline = monotonic() + SHOWN_SECONDS
        while True:
            told = self._asks(terminal.request.runner_id)
            if question := (await terminal.box()).question:
                return question
            if not told or monotonic() >= deadline:
                raise NotTyped("it asks no question now; send it without --answer")
            await asyncio.sleep(LOOK_SECONDS)

    async def _answer(self, terminal: _Terminal) -> None:
        request = terminal.request
        asked = await self._asked(terminal)
        answer = terminal.adapter.answer(asked, request.text)
        if answer is None:
            options = "; ".join(f"{one.key} {one.label}".strip() for one in asked.options)
            raise NotTyped(f"'{request.text}' is no answer to its question. The answers are: {options}")
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
        self._answered(request.runner_id)
        await self._finish(request, time())


def _kind(request: SendRequest) -> str:
    """Nobody waits for the outcome of a launch's prompt: a refusal is shown with its session."""
    return "prompt" if request.patient else "send"


def _plain(text: str) -> str:
    """Words only: a box trims and folds blanks."""
    return " ".join(text.split())
