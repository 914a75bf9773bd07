"""The terminal of a runner as whoever types into it sees it, and why a text was not typed."""

from dataclasses import dataclass
from hashlib import blake2b

from stratavore.agents.adapter import Adapter, Box, Question
from stratavore.models.steps import SendRequest
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux

_IN_VAIN = 5


class NotTyped(Exception):
    """Why not, as a clause for people."""


class NotReady(NotTyped):
    """It cannot be typed now, but later perhaps."""


class Gone(NotReady):
    """Never into this runner, but perhaps into the next one."""


@dataclass(frozen=True)
class Beginning:
    """How a text began to be typed, as it is kept with its request."""

    offset: int = 0
    """From where on the hooks tell of it."""
    runner_id: str = ""
    question: str = ""
    """Which one it answers, as a digest."""

    @classmethod
    def read(cls, detail: str | None) -> "Beginning":
        """What an earlier try kept; less of it, if that was another version."""
        offset, runner_id, question, *_ = *(detail or "0").split(" "), "", ""
        return cls(int(offset), runner_id, question)

    def __str__(self) -> str:
        """As it is kept."""
        return f"{self.offset} {self.runner_id} {self.question}".rstrip()


@dataclass
class Terminal:
    """The runner's terminal, and what of it is read."""

    request: SendRequest
    adapter: Adapter
    tmux: Tmux
    run: RunDirectory
    began_before: str | None = None
    """How an earlier try began it, which the runner is not known to have taken."""
    began_here: int | None = None
    """From where on the hooks tell of it, if an earlier try began it with this runner."""
    answers: str = ""
    """The question that it answers, as a digest."""
    begun: bool = False
    """This try has begun to type."""

    async def box(self) -> Box:
        """What its screen offers to type into.

        Raises:
            Gone: its program has ended.
        """
        screen = await self.tmux.capture(self.request.project_id, self.request.runner_id)
        if screen is None or self.run.exit() is not None:
            raise Gone("its program has ended")
        return self.adapter.box(screen)

    async def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        await self.tmux.press(self.request.project_id, self.request.runner_id, keys)

    async def paste(self, text: str) -> None:
        """Put text into it, without Enter."""
        await self.tmux.type_text(self.request.project_id, self.request.runner_id, text, enter=False)

    def hooks_size(self) -> int:
        """Bytes that its hooks have told until now."""
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
            if taken and plain(self.request.text) in plain(taken[1]):
                return taken[0]
        return None


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


def digest(question: Question) -> str:
    """By what a question is known again; not by which option is pointed at."""
    said = [question.text, *(f"{one.key} {one.label}" for one in question.options)]
    return blake2b("\n".join(said).encode(errors="replace"), digest_size=16).hexdigest()


def plain(text: str) -> str:
    """Words only: a box trims and folds blanks."""
    return " ".join(text.split())
