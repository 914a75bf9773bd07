"""How soon what an agent tells by a hook is seen in the list of runners."""

import asyncio
import json
import os
import uuid
from pathlib import Path
from time import perf_counter
from typing import Any

from stratavore.environment import write_environment
from tests.benchmarks.conversations import Say, Spread
from tests.support.daemon import DaemonProcess

CONVERSATION = "6e2f3a4b-0000-4000-8000-000000000001"


async def telling(daemon: DaemonProcess, say: Say, spread: Spread, count: int) -> None:
    """Hooks of one agent, told one after the other, each until its effect is in the list; beside a hook by itself."""
    directory = await _session(daemon)
    alone, seen = [], []
    for number in range(count):
        busy = number % 2 == 0
        began = perf_counter()
        await _tell(directory, "UserPromptSubmit" if busy else "Stop")
        alone.append(1000 * (perf_counter() - began))
        while (await _activity(daemon)) != ("busy" if busy else "idle"):
            await asyncio.sleep(0.005)
        seen.append(1000 * (perf_counter() - began))
        await asyncio.sleep(0.01 * (number % 20))  # at any time between two looks
    say("hooks")
    say(f"  told until seen in the list of runners {spread(seen, ' ms')}  [goal: median <= 300 ms]")
    say(f"  of that the hook itself {spread(alone, ' ms')}")


async def _session(daemon: DaemonProcess) -> Path:
    """A session of an agent that only its hooks tell of. Returns its run directory."""
    programs = daemon.home.root / "programs"
    programs.mkdir(exist_ok=True)
    claude = programs / "claude"
    claude.write_text("#!/bin/sh\nexec cat\n")
    claude.chmod(0o755)
    name, session = f"p{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    await daemon.call("create_project", name=name, path=str(programs), agent="claude")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(daemon.home.root)}
    write_environment(daemon.home.session_environment(session), environment)
    await daemon.call("launch", project=name, session_ids=[session])
    await daemon.wait(session, "running")
    directory = daemon.home.run_directory(f"{session}.1")
    await _tell(directory, "SessionStart", source="clear")
    return directory


async def _tell(directory: Path, name: str, **given: Any) -> None:
    told = {"hook_event_name": name, "session_id": CONVERSATION, "prompt": "x", "last_assistant_message": "y", **given}
    hook = await asyncio.create_subprocess_exec(
        "/bin/sh", str(directory / "hook.sh"), "8192", stdin=asyncio.subprocess.PIPE
    )
    await hook.communicate(json.dumps(told).encode())


async def _activity(daemon: DaemonProcess) -> str:
    found = await daemon.call("list_runners")
    return str(next(one["activity"] for one in found if one["agent"] == "claude"))
