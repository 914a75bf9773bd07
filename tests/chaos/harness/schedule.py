"""What happens in a run, and when: a pure function of the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is done to processes of the run."""

    KILL_DAEMON = "kill daemon"
    KILL_TEMPORAL = "kill temporal"
    KILL_POSTGRES = "kill postgres"
    KILL_RABBITMQ = "kill rabbitmq"
    KILL_TMUX = "kill tmux"
    KILL_AGENT = "kill agent"
    KILL_WRAPPER = "kill wrapper"
    KILL_POINT = "kill at a point"
    """The daemon is killed, and its next one dies in the middle of a step."""
    KILL_SERVERS = "kill daemon and servers"
    KILL_ALL = "kill everything"
    REBOOT = "reboot"
    """Everything is killed, and the machine has another boot id."""
    STOP_DAEMON = "stop daemon"
    STOP_TEMPORAL = "stop temporal"
    STOP_POSTGRES = "stop postgres"
    STOP_RABBITMQ = "stop rabbitmq"
    STOP_TMUX = "stop tmux"
    STOP_AGENT = "stop agent"
    LOSE_HOST = "stop daemon beyond its lease"
    """Its host counts as lost, while agents live there."""
    CUT_NETWORK = "cut network"
    """Of a host without servers: its connections break, and it makes no new ones."""
    HOLD_NETWORK = "silent network"
    """The same, but nothing breaks: what is sent is answered later, or never."""


class Command(StrEnum):
    """What people do meanwhile, with the command line."""

    SEND = "send"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    KILL = "kill"
    LAUNCH = "launch"
    ATTACH = "attach"
    MOVE = "move"


@dataclass(frozen=True)
class Step:
    """One fault or command.

    Attributes:
        at: Seconds after the begin.
        what: Which.
        pick: From 0 up to 1: chooses one of those that there are then.
        where: From 0 up to 1: chooses the host.
        seconds: How long it lasts: until a stopped process goes on, or a killed daemon is started again.
    """

    at: float
    what: Fault | Command
    pick: float
    where: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.at:8.2f}  {self.what:<24} pick {self.pick:.6f}  where {self.where:.3f}  for {self.seconds:.2f} s"


MEAN_SECONDS = 8.0
"""Between two faults that do not belong together."""
TOGETHER = 0.3
"""How often the next fault comes at once, or amid the recovery from this one."""
SENDS = 3.0
"""For one command of another kind."""


_BETWEEN_HOSTS = {Fault.CUT_NETWORK, Fault.HOLD_NETWORK, Command.MOVE}
_LONG = {Fault.LOSE_HOST}
_LONG_SECONDS = 27.0
"""Added to a fault that is to outlast a lease, and the margin after which others take what was there."""


def plan(seed: int, seconds: float, sessions: int, hosts: int = 1) -> tuple[Step, ...]:
    """All faults and commands of a run, in order.

    Faults come from shuffled bags with one of each kind, so that none is left to luck. The same arguments always
    give the same plan.
    """
    steps = [*_faults(random.Random(f"faults {seed}"), seconds)]
    steps += _commands(random.Random(f"commands {seed}"), seconds, sessions)
    fit = (step for step in steps if hosts > 1 or step.what not in _BETWEEN_HOSTS)
    return tuple(sorted(fit, key=lambda step: (step.at, str(step.what))))


def _faults(chance: random.Random, seconds: float) -> Iterator[Step]:
    at, bag = 3.0, list[Fault]()
    while at < seconds:
        if not bag:
            bag = list(Fault)
            chance.shuffle(bag)
        what = bag.pop()
        long = _LONG_SECONDS if what in _LONG else 0.0
        yield Step(round(at, 3), what, chance.random(), chance.random(), round(long + chance.uniform(0.2, 6.0), 3))
        if chance.random() < TOGETHER:
            at += chance.uniform(0.0, 1.5)
        else:
            at += chance.uniform(0.4, 1.6) * MEAN_SECONDS


def _commands(chance: random.Random, seconds: float, sessions: int) -> Iterator[Step]:
    others = [command for command in Command if command is not Command.SEND]
    weights = [2.0, 3.0, 2.0, 1.0, 1.0, 1.0, 2.0]  # more is resumed than put away, and as much begun as ended
    pause = max(0.8, 16.0 / sessions)
    at = 0.5
    while at < seconds:
        what = Command.SEND if chance.random() < SENDS / (SENDS + 1) else chance.choices(others, weights)[0]
        yield Step(round(at, 3), what, chance.random(), chance.random(), round(chance.uniform(1.0, 15.0), 3))
        at += chance.uniform(0.2, 1.8) * pause
