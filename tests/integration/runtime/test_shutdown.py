"""A machine shuts down: everybody is told to end, in any order, and nobody chose to."""

import asyncio
import os
import signal
from time import monotonic

import pytest

from stratavore.agents.exits import classify_exit
from stratavore.models.states import ExitKind
from stratavore.runtime.processes import ProcessIdentity, identify, send, send_group
from tests.integration.runtime.runners import Runners

POLITE = (
    "import signal,sys,time; [signal.signal(s, lambda *_: sys.exit(0)) for s in (1, 15)]; "
    "print('up', flush=True); time.sleep(1000)"
)
GAP_SECONDS = 0.05
"""Between one process and the next: systemd takes a tenth of it for all of a machine."""
SOON_SECONDS = 0.25
"""A wrapper waits that long for what others are told; a machine too busy to tell them by then proves nothing."""
TRIES = 10


@pytest.mark.parametrize(
    "order",
    [
        ("group",),
        ("agent", "wrapper", "server"),
        ("agent", "server"),
        ("agent", "hangup of wrapper"),
        ("wrapper", "agent", "server"),
        ("wrapper", "server"),
        ("server", "wrapper", "agent"),
        ("server",),
    ],
)
async def test_who_ends_politely_then_has_not_ended_by_itself(runners: Runners, order: tuple[str, ...]) -> None:
    for _ in range(TRIES):
        kind, why, seconds = await told(runners, order)
        if kind is ExitKind.LOST or seconds < SOON_SECONDS:
            break
    assert kind is ExitKind.LOST, why


async def told(runners: Runners, order: tuple[str, ...]) -> tuple[ExitKind, str, float]:
    """How a runner ended of which these were told to end; and how long that took, in seconds."""
    spec = runners.python(POLITE)
    started = await runners.launch(spec)
    assert started.identity and started.wrapper
    await runners.shows(spec, "up")
    server = identify(await runners.server())
    assert server
    began = monotonic()
    named: dict[str, ProcessIdentity] = {"agent": started.identity, "wrapper": started.wrapper, "server": server}
    for name in order:
        if name == "group":
            send_group(started.identity, signal.SIGTERM)
        elif name == "hangup of wrapper":
            send(started.wrapper, signal.SIGHUP)
        else:
            send(named[name], signal.SIGTERM)
        await asyncio.sleep(GAP_SECONDS)
    if "server" in order:
        await runners.gone(server)  # only then it has hung up
    seconds = monotonic() - began
    await runners.gone(started.identity, started.wrapper)
    return *classify_exit(runners.files(spec).exit(), spec), seconds


@pytest.mark.parametrize("program", ["exit 0", "exit 3", "kill -9 $$"])
async def test_who_ends_alone_has_ended_by_itself(runners: Runners, program: str) -> None:
    spec = runners.shell(program)
    started = await runners.launch(spec)
    await runners.exit(spec)
    await runners.gone(started.wrapper)
    kind, _ = classify_exit(runners.files(spec).exit(), spec)
    assert kind is (ExitKind.COMPLETED if program == "exit 0" else ExitKind.CRASHED)
    assert runners.files(spec).ended_ticks()


async def test_an_interactive_shell_is_hung_up_when_it_is_to_end(runners: Runners) -> None:
    """It ignores SIGTERM, as interactive shells do: nobody waits until the grace is over."""
    spec = runners.spec("bash", "--norc", "-i")
    await runners.launch(spec, {"PATH": os.environ["PATH"], "HOME": "/", "PS1": "ready> "})
    await runners.shows(spec, "ready>")
    async with asyncio.timeout(30):
        await runners.host.stop(spec.runner_id, spec.project_id, grace=60, force=False)
    record = await runners.exit(spec)
    assert (record.code, record.asked) == (128 + signal.SIGHUP, True)
