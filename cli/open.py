"""``stratavore PROJECT``."""

from typing import Annotated
from uuid import uuid4

import typer

from cli import text
from cli.environments import environment_kept, forget_environment
from cli.god import GodOption
from cli.launch import QUEUED, bring_up, settle, start_and_attach
from cli.options import Chosen, choose, of_project
from cli.projects import Project, find_project
from cli.service import RECORDED, UNTOLD, service
from cli.sessions import state_of
from cli.terminal import Progress, interactive
from stratavore.errors import StratavoreError, UnknownProject
from stratavore.launch_options import LaunchOptions
from stratavore.near_names import did_you_mean
from stratavore.project_names import RESERVED


def open_project(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Which.")],
    god: GodOption = False,
) -> None:
    """Attach to a project's session, resume its last, or launch one.

    The same as 'stratavore PROJECT'. Leave the session with Ctrl-b d: it goes on.

    Examples:
        stratavore site
        stratavore open site
        stratavore site --god                     without waiting in line
    """
    chosen = _choose(_find(project))
    fresh = str(uuid4())
    kept = [service.home.session_environment(fresh)]
    with environment_kept(kept, chosen.environment):
        answer = service.call(
            "open_project",
            away=UNTOLD,
            project=project,
            session_id=fresh,
            options=chosen.options.as_json(),
            **service.as_god,
        )
    session_id, runs = answer["session_id"], answer["action"] == "attach"
    rested = answer["generation"] if answer["action"] == "resume" else None
    if session_id != fresh:
        forget_environment(kept)
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


def _choose(project: Project) -> Chosen:
    """What is launched if nothing is there to be attached to or resumed; only then its file must be right."""
    of_it = of_project(project)
    try:
        return choose(LaunchOptions(), project["path"], of_it)
    except StratavoreError:
        known = service.call("list_sessions", project=project["name"], all=True)
        if all(one["headless"] for one in known):
            raise
        return Chosen(of_it, {})


def _find(name: str) -> Project:
    """The project. A mistyped command is told as one, even when nobody can be asked.

    Raises:
        UnknownProject: there is none.
    """
    try:
        return find_project(name, also=sorted(RESERVED))
    except UnknownProject:
        raise
    except StratavoreError:
        near = did_you_mean(name, sorted(RESERVED))
        if not near:
            raise
        raise UnknownProject(name=name, near=near) from None
