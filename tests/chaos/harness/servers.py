"""The servers under test: those that the first host's daemon starts for itself, and all hosts share."""

import asyncio
import json
import subprocess
from pathlib import Path

import asyncpg
from temporalio.client import Client

from stratavore.embedded.postgres import bundled
from stratavore.paths import Home
from tests.chaos.harness.processes import living
from tests.chaos.harness.record import Agent

SERVERS = ("temporal", "postgres", "rabbitmq")


class Servers:
    """Found by what the state directory of their host recorded, and never by a name."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def process(self, name: str) -> Agent | None:
        """The living process of one of the servers."""
        try:
            process = json.loads(self._home.servers_file.read_text())[name]["process"]
        except (OSError, ValueError, KeyError):
            return None
        return living((process["pid"], process["start"])) if process else None

    def url(self, name: str) -> str:
        """How a client reaches one of the servers; empty: not known yet."""
        try:
            return str(json.loads(self._home.servers_file.read_text())[name]["url"])
        except (OSError, ValueError, KeyError):
            return ""

    async def fetch(self, statement: str) -> list[asyncpg.Record]:
        """Ask Postgres directly."""
        connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        try:
            return await connection.fetch(statement, timeout=10)
        finally:
            connection.terminate()

    async def keep(self, directory: Path) -> None:
        """Copy what the database has, and the history of each session's workflow."""
        dump = [str(bundled().programs / "pg_dump"), "--dbname", self.url("postgres")]
        with (directory / "database.sql").open("wb") as output:
            await asyncio.to_thread(subprocess.run, dump, stdout=output, check=False, timeout=120)
        histories = directory / "histories"
        histories.mkdir(exist_ok=True)
        client = await Client.connect(self.url("temporal"), namespace="stratavore")
        async for workflow in client.list_workflows("WorkflowType = 'Session'"):
            history = await client.get_workflow_handle(workflow.id, run_id=workflow.run_id).fetch_history()
            (histories / f"{workflow.id}.{workflow.run_id}.json").write_text(history.to_json())
