"""Events as they happen, from a real RabbitMQ to the command line."""

import asyncio
import json
import uuid

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def test_events_are_shown_as_they_happen(
    daemon_process: DaemonProcess, cli: CommandLine, rabbitmq_url: str
) -> None:
    broker = {"STRATAVORE_RABBITMQ__ENABLED": "true", "STRATAVORE_RABBITMQ__URL": rabbitmq_url}
    await daemon_process.start(settings=broker)
    name = f"p{uuid.uuid4().hex[:8]}"
    await cli.done("new", name, "--", "true")
    listening = cli.start("events", "subscribe", f"session.*.{name}", "--format", "json")
    assert listening.stdout is not None
    reading = asyncio.create_task(asyncio.to_thread(listening.stdout.readline))
    try:
        while not reading.done():  # from when on it listens is not to be seen from here
            await cli.done("launch", name)
        delivered = json.loads(await reading)
        daemon_process.kill()
        rest, err = await asyncio.to_thread(listening.communicate, timeout=60)
    finally:
        listening.kill()
    assert (delivered["project"], delivered["type"][:8]) == (name, "session.")
    listed = await cli.json("events", "list", f"session.*.{name}", "--limit", "1000")
    for one in (delivered, *map(json.loads, rest.splitlines())):
        assert one in listed
    assert (listening.returncode, err) == (
        4,
        "Error: The daemon does not answer. Start it with: stratavore daemon start.\n",
    )


async def test_without_a_broker_it_says_so(daemon: DaemonProcess, cli: CommandLine) -> None:
    said = await cli.refused(4, "events", "subscribe")
    assert said.startswith("RabbitMQ cannot be reached")
