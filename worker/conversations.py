"""Which files hold what an agent says, and when they are looked at again."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import time_ns

from stratavore.agents.registry import adapter_for
from stratavore.models.states import Activity
from stratavore.runtime.tail import Place
from stratavore.store.transcripts import Kept, Key
from worker.watched import Watched

SLOWEST_SECONDS = 5.0
"""Between two looks at a file of a conversation that rests."""
SLOWEST_ASIDE_SECONDS = 30.0
"""The same for one that the agent has left, or that another agent wrote."""
_PATIENCE = 4
"""A file that has not changed for so many seconds is looked at each second."""
_TICK = 1_000_000_000
_ABSENT = (FileNotFoundError, NotADirectoryError)

Signature = tuple[int, int, int]


@dataclass
class File:
    """One file of a conversation."""

    key: Key
    path: Path
    subagent: bool
    part: int = 0
    place: Place = field(default_factory=Place)
    heard: int = 0
    """Bytes whose rows the follower has heard, stored or not."""
    heard_part: int = 0
    """The part that they are of."""
    more: bool = True
    """It holds more than was read, as far as is known."""
    refused: bool = False
    """Postgres takes it in no form."""
    signature: Signature | None = None
    changed: float = 0.0
    """By the monotonic clock."""
    due: float = 0.0
    unread: OSError | None = None
    """Why it could not be read the last time."""

    @classmethod
    def of(cls, kept: Kept) -> "File":
        """A file that is stored up to a place."""
        read_to = kept.place.read_to
        return cls(kept.key, Path(kept.path), kept.subagent, kept.part, kept.place, read_to, kept.part)

    def looks_changed(self, now: float, slowest: float) -> bool:
        """Whether it may hold more than before; costs one ``stat``."""
        try:
            seen = self.path.stat()
        except _ABSENT:
            signature, self.unread = None, None
        except OSError as error:
            signature, self.unread = self.signature, error
        else:
            signature = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        if signature != self.signature:
            self.signature, self.changed, self.more = signature, now, True
        # One that could not be read has not been asked yet.
        self.more = (self.more or self.unread is not None) and signature is not None
        self.due = now + min((now - self.changed) / _PATIENCE, slowest)
        return self.more


@dataclass
class _Directory:
    """Where other agents that one has started write their files."""

    path: Path
    agent_session_id: str
    modified: int | None = None
    changed: float = 0.0
    due: float = 0.0
    unread: OSError | None = None
    """Why it could not be looked at the last time."""


@dataclass
class Turns:
    """Whether turns that ended were metered. A turn that this daemon did not see begin counts as metered."""

    last: datetime | None = None
    """The end of the last turn that was judged."""
    metered: bool = True
    """Since then something was read that says what a turn used, or why it used nothing."""
    _seen: datetime | None = None
    _since: float = 0.0

    def unmetered(self, ended: datetime | None, now: float, patience: float) -> bool:
        """Judge the turn that ended last, once. Its usage may be written until ``patience`` seconds later."""
        if ended is None or ended == self.last:
            return False
        if ended != self._seen:
            self._seen, self._since = ended, now
        if not self.metered and now - self._since < patience:
            return False
        missing, self.last, self.metered = not self.metered, ended, False
        return missing


@dataclass
class Conversations:
    """The files of one runner's session: of the conversation it is in, of those it left, of agents that it started."""

    watched: Watched
    files: dict[Key, File] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    """Where the agent has told that it was, and at last is."""
    current: Key | None = None
    turns: Turns = field(default_factory=Turns)
    _directories: dict[Path, _Directory] = field(default_factory=dict)

    @classmethod
    def of(cls, watched: Watched, kept: Mapping[Key, Kept]) -> "Conversations":
        """With what is stored of its session."""
        made = cls(watched, turns=Turns(last=watched.shown.turn_ended_at))
        for one in kept.values():
            if one.key.session_id == watched.session_id:
                made.files[one.key] = File.of(one)
                if not one.subagent:
                    made._look_beside(made.files[one.key])
        return made

    def enter(self, path: Path, agent_session_id: str) -> None:
        """The agent is in this conversation now."""
        self.current = self._add(path, agent_session_id, subagent=False)
        self._look_beside(self.files[self.current])

    def changed(self, now: float, *, every: bool) -> Iterator[File]:
        """Files that may hold more than was read; ``every``: whatever was seen of them last."""
        for directory in self._directories.values():
            if every or directory.due <= now:
                self._search(directory, now, every=every)
        at_work = self.watched.activity is not Activity.IDLE
        for file in self.files.values():
            if file.refused:
                continue
            current = file.key == self.current
            slowest = SLOWEST_SECONDS if current else SLOWEST_ASIDE_SECONDS
            if (every or file.due <= now or (current and at_work)) and file.looks_changed(now, slowest):
                yield file

    @property
    def unread(self) -> OSError | None:
        """Why something of them could not be read the last time, if so: nobody knows what it holds."""
        failures = [one.unread for one in self.files.values()]
        failures += [one.unread for one in self._directories.values()]
        return next((failure for failure in failures if failure), None)

    def _look_beside(self, file: File) -> None:
        path = adapter_for(self.watched.agent).subagent_transcripts(file.path)
        if path is not None:
            self._directories.setdefault(path, _Directory(path, file.key.agent_session_id))

    def _search(self, directory: _Directory, now: float, *, every: bool) -> None:
        try:
            modified = directory.path.stat().st_mtime_ns
            if every or modified != directory.modified:
                directory.changed = now
                with os.scandir(directory.path) as entries:
                    found = [entry.path for entry in entries if entry.name.endswith(".jsonl")]
                # A clock that ticks slowly gives a file that comes at once the same time.
                directory.modified = modified if time_ns() - modified > _TICK else None
                for path in found:
                    self._add(Path(path), directory.agent_session_id, subagent=True)
            directory.unread = None
        except _ABSENT:
            directory.unread = None  # not there yet, or not any more
        except OSError as error:
            directory.unread = error
        directory.due = now + min((now - directory.changed) / _PATIENCE, SLOWEST_SECONDS)

    def _add(self, path: Path, agent_session_id: str, *, subagent: bool) -> Key:
        key = Key(self.watched.session_id, agent_session_id, path.name)
        known = self.files.setdefault(key, File(key, path, subagent))
        if known.path != path:  # the session came from another host
            known.path, known.signature = path, None
        return key
