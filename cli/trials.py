"""``stratavore test``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Column, Format, FormatOption, show
from cli.service import service
from cli.terminal import Progress
from stratavore import __version__
from stratavore.errors import EXIT_UNAVAILABLE, InvalidInput, StratavoreError
from stratavore.near_names import did_you_mean

if TYPE_CHECKING:
    from stratavore.servers.trials import Trial

    Trials = Callable[[], AsyncIterator[Trial]]

KEYS = ("server", "check", "ok", "ms", "detail")
SERVERS = ("database", "messaging", "temporal", "api")
NONE = "There is none: no daemon has started one, and none is configured. Start one with: stratavore daemon start."
SWITCHED_OFF = "It is switched off by rabbitmq.enabled; events wait in the database."


def test(
    server: Annotated[
        str | None,
        typer.Argument(metavar="SERVER", help="database, messaging, temporal or api; by default all."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Try the servers and the daemon, with round trips.

    Goes to the servers that are configured, else to those that the daemon started, by the way the daemon goes.
    What is written is rolled back; the message that is published is no event, and who listens for events passes it
    over. After a check that failed, those of the same server that build on it are left out.

    Examples:
        stratavore test
        stratavore test database
        stratavore test messaging --format json
    """
    if server is not None and server not in SERVERS:
        near = did_you_mean(server, SERVERS)
        raise InvalidInput(reason=f"There is no server '{server}' to test{near}; there are {', '.join(SERVERS)}")
    trials = asyncio.run(_try([server] if server else list(SERVERS)))
    show(trials, form, KEYS, _COLUMNS, empty="")
    if not all(trial["ok"] for trial in trials):
        raise typer.Exit(EXIT_UNAVAILABLE)


async def _try(servers: list[str]) -> list[dict[str, Any]]:
    found = []
    ways = _ways()
    with Progress() as progress:
        for server in servers:
            progress.show(f"testing {server} …")
            async for trial in ways[server]():
                found.append(asdict(trial))
    return found


def _ways() -> "dict[str, Trials]":
    """How each is tried: as it is configured, else as the last daemon wrote it down."""
    from stratavore.config.reading import read_settings
    from stratavore.embedded.stack import EmbeddedStack
    from stratavore.servers import trials  # Temporal's SDK: most of a second
    from stratavore.tls import TlsFiles

    settings = read_settings()
    stack = EmbeddedStack.recorded(service.home)
    dsn = settings.postgres.dsn.get_secret_value() if settings.postgres.dsn else stack and stack.postgres_dsn
    url = settings.rabbitmq.url.get_secret_value() if settings.rabbitmq.url else stack and stack.rabbitmq_url
    address = settings.temporal.address or (stack and stack.temporal_address)

    async def database() -> "AsyncIterator[Trial]":
        async for trial in trials.database(dsn) if dsn else _absent("database", NONE):
            yield trial

    async def messaging() -> "AsyncIterator[Trial]":
        if not settings.rabbitmq.enabled:
            yield trials.Trial("messaging", "connect", ok=True, ms=0.0, detail=SWITCHED_OFF)
            return
        async for trial in trials.messaging(url, TlsFiles.of(settings.rabbitmq)) if url else _absent("messaging", NONE):
            yield trial

    async def temporal() -> "AsyncIterator[Trial]":
        async for trial in (
            trials.temporal(address, settings.temporal, settings.host) if address else _absent("temporal", NONE)
        ):
            yield trial

    async def api() -> "AsyncIterator[Trial]":
        yield await trials.timed("api", "socket", _api)

    return {"database": database, "messaging": messaging, "temporal": temporal, "api": api}


async def _absent(server: str, why: str) -> "AsyncIterator[Trial]":
    from stratavore.servers.trials import Trial

    yield Trial(server, "connect", ok=False, ms=0.0, detail=why)


async def _api() -> str:
    """The daemon's answer through its socket.

    Raises:
        StratavoreError: it does not answer, or is of another version.
    """
    found = await asyncio.to_thread(service.call_daemon, "daemon_status")
    if found["version"] != __version__:
        raise StratavoreError(
            reason=f"the daemon is version {found['version']}, and this command {__version__}; start it anew"
        )
    return f"stratavored {found['version']} on {found['host']}, process {found['pid']}"


_COLUMNS = [
    Column("SERVER", lambda row: row["server"]),
    Column("CHECK", lambda row: row["check"]),
    Column("RESULT", lambda row: "ok" if row["ok"] else "failed", state=True),
    Column("MS", lambda row: f"{row['ms']:.1f}", right=True),
    Column("DETAIL", lambda row: row["detail"]),
]
