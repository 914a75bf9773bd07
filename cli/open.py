"""``stratavore PROJECT``."""

from typing import Annotated
from uuid import uuid4

import typer

from cli import text
from cli.launch import QUEUED, bring_up, forget_environment, keep_environment, settle, start_and_attach
from cli.projects import find_project
from cli.service import RECORDED, UNTOLD, service
from cli.sessions import state_of
from cli.terminal import Progress, interactive
from stratavore.errors import StratavoreError, UnknownProject
from stratavore.project_names import RESERVED


def open_project(project: Annotated[str, typer.Argument(metavar="PROJECT", help="Which.")]) -> None:
    """Attach to a project's session, resume its last, or launch one.

    The same as 'stratavore PROJECT'. Leave the session with Ctrl-b d: it goes on.

    Examples:
        stratavore site
        stratavore open site
    """
    _find(project)
    fresh = str(uuid4())
    keep_environment([fresh])
    try:
        answer = service.call("open_project", away=UNTOLD, project=project, session_id=fresh)
    except StratavoreError:
        forget_environment([fresh])
        raise
    session_id, runs = answer["session_id"], answer["action"] == "attach"
    rested = answer["generation"] if answer["action"] == "resume" else None
    if session_id != fresh:
        forget_environment([fresh])
    service.tell_absence(RECORDED if runs else QUEUED)
    if service.without_daemon and not runs:
        typer.echo(f"{text.short(session_id)}  queued")
    elif interactive():
        start_and_attach(session_id, fresh=not runs, rested=rested)
    else:
        with Progress() as progress:
            session = bring_up(session_id, progress, line=False, rested=rested)
        typer.echo(f"{text.short(session_id)}  {state_of(session)}")
        if not runs:
            settle(session)


def _find(name: str) -> None:
    """Check that there is the project. A mistyped command is told as one, even when nobody can be asked.

    Raises:
        UnknownProject: there is none.
    """
    from cli.commands import near_names

    try:
        find_project(name, also=sorted(RESERVED))
    except UnknownProject:
        raise
    except StratavoreError:
        near = near_names(name, sorted(RESERVED))
        if not near:
            raise
        raise UnknownProject(name=name, near=f" (did you mean {near}?)") from None
