"""Brings one server up, whatever state the last daemon left it in."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from stratavore.embedded import ports
from stratavore.embedded.process import Process, last_lines, spawn
from stratavore.embedded.records import Record, Records
from stratavore.embedded.server import Server
from stratavore.errors import DiskFull, ServerAway
from stratavore.killpoints import effect

PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0)


class Keeper:
    """One server and its record."""

    def __init__(self, server: Server, records: Records) -> None:
        self._server = server
        self._records = records

    async def bring_up(self, progress: Callable[[str], None]) -> None:
        """Adopt or start the server and wait until it is ready.

        Raises:
            ServerAway: it does not come up; with its last words.
        """
        began = time.monotonic()
        for pause in (*PAUSES, None):
            process, adopted = await self.start_or_find()
            if await self._ready(process):
                verb = "found running" if adopted else "started"
                progress(f"{self._server.title} {verb} on {self._address()} ({time.monotonic() - began:.1f} s)")
                return
            # Dead, perhaps because its port was taken just before it came to it; or hanging.
            await self.stop()
            if pause is not None:
                await asyncio.sleep(pause)
        words = last_lines(self._server.log)
        if "no space left on device" in words.lower():
            raise DiskFull(path=self._server.directory)
        raise ServerAway(
            server=self._server.title,
            address=self._address(),
            reason=f"it does not start; its last words: {words}",
            hint=f"See {self._server.log}",
        )

    async def start_or_find(self) -> tuple[Process, bool]:
        """Its living process, or a new one, not waited for; and whether it lived already."""
        record = self._records[self._server.name]
        process = record.living() or self._server.find()
        if process is not None and set(record.ports) == set(self._server.usual_ports):
            self._remember(record, process)
            return process, True
        if process is not None:  # one of ours whose ports nobody knows any more
            await process.stop(self._server.stop_signal, self._server.stop_grace)
        chosen = ports.choose(self._server.usual_ports, record.ports, taken=self._records.ports(but=self._server.name))
        server = self._server
        record = Record(url=server.url(chosen), ui=server.ui(chosen), ports=chosen)
        with effect("embedded.intent"):
            self._records.put(server.name, record)
        await server.prepare(chosen)
        process = spawn(server.command(chosen), server.log)
        self._remember(record, process)
        return process, False

    async def stop(self) -> None:
        """End it, recorded or not, and forget its process."""
        process = self._records[self._server.name].living() or self._server.find()
        if process is not None:
            await process.stop(self._server.stop_signal, self._server.stop_grace)
        self._records.forget_process(self._server.name)

    def _remember(self, record: Record, process: Process) -> None:
        with effect("embedded.record"):
            self._records.put(self._server.name, replace(record, process=process))

    async def _ready(self, process: Process) -> bool:
        server, chosen = self._server, self._records[self._server.name].ports
        deadline = time.monotonic() + server.patience
        while process.alive() and time.monotonic() < deadline:
            if server.listening(process, chosen) and await server.ready(chosen):
                return True
            await asyncio.sleep(0.02)
        return False

    def _address(self) -> str:
        number = self._records[self._server.name].ports[self._server.main_port]
        return f"{ports.LOOPBACK}:{number}"
