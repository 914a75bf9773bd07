"""What a person means by a TARGET: a project, a session or a runner, by its id or the beginning of it."""

import re
from typing import NamedTuple

from stratavore.errors import AmbiguousTarget, NoLiveSession, UnknownProject, UnknownTarget
from stratavore.models.states import LIVE_STATES
from stratavore.models.views import ProjectView, RunnerView, SessionView
from stratavore.naming import session_of, short
from stratavore.near_names import did_you_mean
from stratavore.project_names import ALL, GLOBAL
from stratavore.store import projects, runners, sessions
from stratavore.store.connection import Connection


class Scope(NamedTuple):
    """What a limit is set for: everything, a project or a session."""

    name: str
    id: str


_ID = re.compile(r"^[0-9a-f-]{1,36}(\.[0-9]+)?$")


async def project(connection: Connection, name: str) -> ProjectView:
    """The project of that name.

    Raises:
        UnknownProject: there is none; names that are near are told.
    """
    found = await projects.by_name(connection, name)
    if found is None:
        raise UnknownProject(name=name, near=did_you_mean(name, await projects.names(connection)))
    return found


async def all_of(connection: Connection, target: str) -> list[SessionView]:
    """The sessions that a command to many concerns: a project's live ones, or the one that is named."""
    if await projects.by_name(connection, target):
        return await sessions.views(connection, project=target)
    return [await _by_id(connection, target)]


async def meant(connection: Connection, target: str) -> list[SessionView]:
    """All sessions that a command concerns: those of a target, or every live one."""
    if target == ALL:
        return await sessions.views(connection)
    return await all_of(connection, target)


async def scope(connection: Connection, target: str) -> Scope:
    """What a limit is set for.

    Raises:
        UnknownTarget: nothing has that name or id.
        AmbiguousTarget: several ids begin so.
    """
    if target == GLOBAL:
        return Scope(GLOBAL, "")
    if found := await projects.by_name(connection, target):
        return Scope("project", found.project_id)
    return Scope("session", (await _by_id(connection, target)).session_id)


async def one(connection: Connection, target: str, *, live: bool) -> SessionView:
    """The one session that is meant; of a project its newest live one, or, unless ``live``, its newest.

    Raises:
        UnknownTarget: nothing has that name or id.
        AmbiguousTarget: several ids begin so.
        NoLiveSession: the project has none.
    """
    if await projects.by_name(connection, target) is None:
        return await _by_id(connection, target)
    found = await sessions.views(connection, project=target, ended=not live)
    found.sort(key=lambda view: (view.state in LIVE_STATES, view.created_at))
    if not found:
        raise NoLiveSession(target=target)
    return found[-1]


async def earlier_runner(connection: Connection, target: str, session: SessionView) -> RunnerView | None:
    """The runner that the target names, if that is not the session's current or last one.

    Raises:
        UnknownTarget: the session never had a runner of that number.
    """
    number = target.rpartition(".")[2]
    if target == session.project or session_of(target) == target or int(number) == session.generation:
        return None
    known = await runners.views(connection, session_id=session.session_id, ended=True)
    found = next((one for one in known if one.generation == int(number)), None)
    if found is None:
        raise UnknownTarget(target=target, near=did_you_mean(target, (one.runner_id for one in known)))
    return found


async def _by_id(connection: Connection, target: str) -> SessionView:
    prefix = session_of(target.lower())
    ids = await sessions.matching(connection, prefix) if _ID.match(target.lower()) else []
    if not ids:
        raise UnknownTarget(target=target, near=await _near(connection, target))
    if len(ids) > 1:
        raise AmbiguousTarget(target=target, candidates=" or ".join(_told_apart(ids)))
    return (await sessions.views(connection, ids=ids, ended=True))[0]


async def _near(connection: Connection, target: str) -> str:
    """Projects and live sessions that are nearly called so."""
    names = await projects.names(connection)
    if _ID.match(target.lower()):
        names += [short(one.session_id) for one in await sessions.live_names(connection)]
    return did_you_mean(target, names)


def _told_apart(ids: list[str]) -> list[str]:
    """The ids, cut as short as they still differ; at most three."""
    ids = sorted(ids)
    length = next(n for n in range(8, 37) if len({one[:n] for one in ids}) == len(ids))
    shown = [one[:length] for one in ids[:3]]
    return [*shown, "others"] if len(ids) > 3 else shown
