"""``stratavore backup`` and ``stratavore restore``."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from cli.service import service
from cli.terminal import Progress, note
from cli.text import clock, megabytes, plural
from stratavore.errors import BackupFailed, InvalidInput

STANDARD = "-"


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file, a directory, or - for standard output.")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file of that name.")] = False,
    without_secrets: Annotated[
        bool,
        typer.Option(
            "--without-secrets", help="Leave out the environments of sessions, and the key that signs events."
        ),
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none; say whether FILE, or standard input for -, is one, and whole.")
    ] = False,
) -> None:
    """Save everything in one file, while all goes on.

    Projects, sessions with their conversations, usage, limits and events, all of one moment, and of this host the
    environments that its sessions run in. These hold keys, so the file is for you alone (0600). What projects have
    in their directories is not in it, and the configuration is not. Nobody is stopped for it; it needs Postgres, not
    the daemon. In a directory the file is named after the host and the time.

    Examples:
        stratavore backup ~/backups
        stratavore backup today.tar --force
        stratavore backup - | ssh nas 'cat > stratavore.tar'
        stratavore backup --verify today.tar
        ssh nas 'cat stratavore.tar' | stratavore backup --verify -
    """
    if verify:
        _verify(file)
        return
    from stratavore.backup import saving
    from stratavore.backup.database import dsn_of
    from stratavore.config.reading import read_settings

    settings = read_settings()
    dsn = dsn_of(service.home, settings)
    path = None if file == STANDARD else _named(Path(file), settings.host)
    with Progress() as progress, _opened(path, force=force) as output:
        save = saving.save(
            output, service.home, dsn, settings.host, secrets=not without_secrets, progress=progress.show
        )
        asyncio.run(save)
    if path is not None:
        typer.echo(f"Saved in {path} ({megabytes(path.stat().st_size / 2**20)}).")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `stratavore backup` has written.")],
    replaces: Annotated[
        str | None,
        typer.Option(
            "--replaces",
            metavar="HOST",
            help="Let this machine take the place of that host. With a backup of another machine it takes that "
            "of the only one with sessions by itself.",
        ),
    ] = None,
    end_agents: Annotated[
        bool, typer.Option("--end-agents", help="End the agents of this state directory that still live.")
    ] = False,
) -> None:
    """Bring a backup back.

    For a machine where nothing of it is: into a database without projects and sessions, and beside a Temporal that
    knows none; nothing is ever replaced. With the embedded servers an empty state directory is enough. The file is
    checked first; if anything fails, or is interrupted, nothing was restored, and it can be tried again.
    After it, start the daemon: sessions that ran run again with their conversations, and all others are as they were.

    Examples:
        stratavore restore stratavore-build-1-2026-11-25T03-15-00Z.tar
        stratavore restore today.tar --replaces build-1
    """
    from stratavore.backup.archive import opened
    from stratavore.backup.restoring import restore as bring_back
    from stratavore.config.reading import read_settings

    settings = read_settings()
    with Progress() as progress:
        progress.show("checking the file …")
        with closing(opened(file)) as found:
            restored = asyncio.run(
                bring_back(
                    found,
                    service.home,
                    settings,
                    replaces=replaces,
                    end_agents=end_agents,
                    progress=progress.show,
                )
            )
    what = f"{plural(restored.projects, 'project')} and {plural(restored.sessions, 'session')}"
    typer.echo(f"Restored {what}, as of {_moment(restored.head.at)}. Now: stratavore daemon start")
    if restored.replaced:
        note(f"This host, {settings.host}, takes the place of {restored.replaced}.")
    if restored.elsewhere:
        note(f"Sessions on other hosts wait for their daemons: {', '.join(restored.elsewhere)}.")
    if restored.aside:
        note(f"What was in the state directory of later runners is in {restored.aside}.")


def _verify(file: str) -> None:
    from stratavore.backup.archive import opened, passed_by

    if file == STANDARD and sys.stdin.isatty():
        raise InvalidInput(reason="A backup is not typed; name a file, or let one come from a pipe")
    with closing(passed_by(sys.stdin.buffer) if file == STANDARD else opened(Path(file))) as found:
        head, rows = found.head, found.contents.rows
    what = f"{plural(rows['projects'], 'project')} and {plural(rows['sessions'], 'session')}"
    typer.echo(
        f"{found.path} is whole: {what}, as of {_moment(head.at)}, made on {head.host} by Stratavore {head.version} "
        f"(schema {head.schema_version})."
    )


def _moment(at: datetime) -> str:
    return clock(at.isoformat())


def _named(path: Path, host: str) -> Path:
    """The file; in a directory one that is named after the host and the time."""
    if not path.is_dir():
        return path
    return path / f"stratavore-{host}-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.tar"


@contextmanager
def _opened(path: Path | None, *, force: bool) -> Iterator[BinaryIO]:
    """Where a backup is written to; None: standard output."""
    if path is None:
        if sys.stdout.isatty():
            raise InvalidInput(reason="A backup is no text for a terminal; name a file, or a pipe after it")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from stratavore.backup.saving import new_file

    try:
        with new_file(path, force=force) as output:
            yield output
    except OSError as error:
        raise BackupFailed(path=path, reason=(error.strerror or str(error)).lower()) from error
