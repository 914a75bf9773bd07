"""Which limits there are, how they are called, and what they take. Imports the standard library only."""

from collections.abc import Mapping
from typing import NamedTuple

from stratavore.errors import InvalidInput
from stratavore.near_names import did_you_mean

NONE = "none"
"""As a value: there is no limit."""
NO_SLOT = "no slot was free"
"""Why a session ended that did not want to wait in line; what was in the way follows."""


class Quota(NamedTuple):
    """A limit that a project has, or everything together; some a session too."""

    name: str
    """In the configuration, the database and the output for programs."""
    short: str
    """As it is typed."""
    unit: str
    most: int
    full: str
    """What is said of it when it lets nobody in."""
    of_sessions: bool = True
    """Whether a session can have one of its own."""


QUOTAS = (
    Quota("max_concurrent_runners", "max-runners", "runners", 1_000_000, "{used:,} of {limit:,} runners run", False),
    Quota("max_memory_mb", "max-memory", "MB", 1_000_000_000, "{used:,} of {limit:,} MB are used"),
    Quota("max_tokens_per_day", "max-tokens", "tokens", 10**15, "{used:,} of {limit:,} tokens used today"),
)
NAMES = tuple(quota.name for quota in QUOTAS)
OF_SESSIONS = tuple(quota.name for quota in QUOTAS if quota.of_sessions)


def find_quota(name: str) -> Quota:
    """The limit that is meant, in either spelling: ``max-runners`` or ``max_concurrent_runners``.

    Raises:
        InvalidInput: there is none of that name.
    """
    spelled = name.lower().replace("_", "-")
    for quota in QUOTAS:
        if spelled in (quota.short, quota.name.replace("_", "-")):
            return quota
    known = [one.short for one in QUOTAS]
    raise InvalidInput(reason=f"There is no limit '{name}'{did_you_mean(name, known)}; there is: {', '.join(known)}")


def check_value(quota: Quota, value: int | None) -> None:
    """Accept a limit's value (None: no limit), or say what is wrong with it.

    Raises:
        InvalidInput: it is out of range.
    """
    if value is not None and not 0 <= value <= quota.most:
        raise InvalidInput(
            reason=f"{quota.short} is a number of {quota.unit} from 0 to {quota.most}, or {NONE}, not {value}"
        )


def check_of_session(quota: Quota) -> None:
    """Accept a limit as one of a session's own, or say why it is none.

    Raises:
        InvalidInput: it is one of projects and of everything only.
    """
    if not quota.of_sessions:
        theirs = " and ".join(one.short for one in QUOTAS if one.of_sessions)
        raise InvalidInput(reason=f"A session has one runner, so {quota.short} is not for sessions; they have {theirs}")


def check_own(said: Mapping[str, int]) -> dict[str, int]:
    """The limits that a new session is to have, under their whole names.

    Raises:
        InvalidInput: there is no such limit, or none of sessions, or it is out of range.
    """
    known = [(find_quota(name), value) for name, value in said.items()]
    for quota, value in known:
        check_of_session(quota)
        check_value(quota, value)
    return {quota.name: value for quota, value in known}


def parse_value(quota: Quota, text: str) -> int | None:
    """What was typed as a limit's value.

    Raises:
        InvalidInput: it is no whole number of the limit's unit, or out of range.
    """
    if text == NONE:
        return None
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise InvalidInput(reason=f"{quota.short} is a whole number of {quota.unit} or '{NONE}', not '{text}'")
    value = int(text)
    check_value(quota, value)
    return value


def told_full(name: str, used: int, limit: int, scope: str) -> str:
    """What is said of a limit that lets a session not in: its own, its project's or a global one."""
    full = next(quota.full for quota in QUOTAS if quota.name == name).format(used=used, limit=limit)
    where = {"project": " in its project", "session": " by this session"}
    return full + where.get(scope, "")


def waits_for(name: str, used: int, limit: int, scope: str) -> str:
    """Why a session waits, as it is shown."""
    return f"waits: {told_full(name, used, limit, scope)}"
