"""The use cases: what a person can ask for.

The daemon answers the command line with them; without a daemon the command line runs them itself, straight on Postgres
and Temporal. Commands are checked against the read model first; their effect is then read from it (``Control.wait``).

A module holds the use cases of one noun, as a class upon :class:`Reach`; a new one finds its home there, or
in a module of its own that is named here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stratavore import connect
from stratavore.config.reading import read_settings
from stratavore.control.budgets import Budgets
from stratavore.control.consumption import Consumption
from stratavore.control.conversations import Conversations
from stratavore.control.hosts import Hosts
from stratavore.control.launching import Launching
from stratavore.control.limits import Limits
from stratavore.control.moving import Moving
from stratavore.control.overview import Overview
from stratavore.control.projects import Projects
from stratavore.control.schedules import Schedules
from stratavore.control.sessions import Sessions
from stratavore.control.texts import Texts
from stratavore.control.upkeep import Upkeep
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import DaemonAway
from stratavore.paths import Home


class Control(
    Projects,
    Schedules,
    Launching,
    Texts,
    Sessions,
    Overview,
    Conversations,
    Limits,
    Budgets,
    Upkeep,
    Consumption,
    Hosts,
    Moving,
):
    """What people can do with projects and sessions."""


@asynccontextmanager
async def open_control(home: Home) -> AsyncIterator[Control]:
    """A control without a daemon: on the servers that the last one wrote down.

    Raises:
        DaemonAway: no daemon ever ran for this state directory, or none since it was restored.
        ServerAway: one of them does not answer.
        InvalidInput: a setting is wrong.
    """
    settings = read_settings()
    stack = EmbeddedStack.recorded(home)
    if stack is None or not stack.temporal_address:
        raise DaemonAway()
    client = await connect.temporal(stack.temporal_address, settings.temporal)
    database = await connect.database(
        stack.postgres_dsn, bytes.fromhex(Secrets.of(home).event_signing_key), connections=4
    )
    try:
        yield Control(home, settings.host, database, client)
    finally:
        await database.close()
