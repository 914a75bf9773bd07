"""What an agent's adapter says. Nothing else in the system knows an agent's name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity, ExitKind
from stratavore.runtime.rundir import ExitRecord, RunSpec


@dataclass(frozen=True)
class Observation:
    """What is seen of a runner from outside, at one moment."""

    alive_seconds: float
    quiet_seconds: float | None
    """Since its last output; None if there was none."""


class Adapter(ABC):
    """One kind of agent. Adapters keep no state: they answer for every runner of their kind."""

    name: ClassVar[str]

    @abstractmethod
    def check(self, spec: LaunchSpec) -> None:
        """Refuse what can never start, before anything is made.

        Raises:
            InvalidInput: says what is wrong with it.
        """

    @abstractmethod
    def start_argv(self, spec: LaunchSpec) -> Sequence[str]:
        """The words that begin a conversation."""

    @abstractmethod
    def resume_argv(self, spec: LaunchSpec) -> Sequence[str]:
        """The words that go on with it."""

    def environment(self, spec: LaunchSpec) -> Mapping[str, str]:
        """What is added to the environment of the session."""
        return {}

    @abstractmethod
    def activity(self, seen: Observation) -> Activity:
        """What it is doing."""

    @abstractmethod
    def classify_exit(self, record: ExitRecord | None, spec: RunSpec | None) -> tuple[ExitKind, str]:
        """How it ended, and why in one sentence. No record: nobody was left to write one."""
