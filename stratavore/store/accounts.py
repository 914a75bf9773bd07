"""Accounts: whose plans agents spend, and the limits that their providers told. Inside the caller's transaction."""

from datetime import UTC, datetime, timedelta

from stratavore.agents.adapter import Account, Limit
from stratavore.models.session import Hold
from stratavore.models.states import SessionState
from stratavore.stagger import staggered
from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)

FIRST_BACKOFF = timedelta(minutes=1)
"""After a limit that names no time; doubled with each that follows it without an answer between them."""
SAME = timedelta(seconds=10)
"""What is told of a limit within them, by another session or by the same one's transcript, is no other limit."""
LONGEST_BACKOFF = timedelta(minutes=30)
STAGGER = timedelta(seconds=10)
"""In this time after a limit's end the sessions of its account go on."""


async def of_session(connection: Connection, session_id: str, account: Account) -> None:
    """A session spends this account's plan from now on."""
    await connection.execute(SQL.of_session, session_id, account.provider, account.name)


async def limit(connection: Connection, session_id: str, told: Limit) -> tuple[Hold, bool] | None:
    """Write down a limit that an agent was told of, for all of its account. The same again changes nothing.

    Returns:
        What holds the session by it, and whether that is new of the account; None: its account is not known.
    """
    account = await connection.fetchrow(SQL.lock, session_id)
    if account is None:
        return None
    id_, until, in_a_row = account["account_id"], account["limited_until"], account["limits_in_a_row"]
    news = account["limited_at"] is None or told.at > account["limited_at"] + SAME
    if told.until is not None:
        changed = news and (until is None or told.until > until)
        until, in_a_row = (told.until, 0) if changed else (until or told.until, in_a_row)
    else:
        # Of several that come at once, and before the time is over that one of them led to, one counts.
        changed = news and (until is None or told.at >= until)
        if changed:
            in_a_row += 1
            until = told.at + backoff(in_a_row)
    if changed:
        await connection.execute(SQL.limit, id_, until, told.at, in_a_row, told.text)
    return _hold(session_id, id_, account["name"], until or told.at, in_a_row, told.text), changed


def backoff(in_a_row: int) -> timedelta:
    """How long after the n-th limit without a time it is worth trying again."""
    doublings: int = 2 ** min(in_a_row - 1, 20)
    return min(FIRST_BACKOFF * doublings, LONGEST_BACKOFF)


async def holding(connection: Connection, session_id: str) -> Hold | None:
    """The limit of its account that holds a session now; None: none is known."""
    row = await connection.fetchrow(SQL.holding, session_id)
    if row is None:
        return None
    return _hold(session_id, row["account_id"], row["name"], row["until"], row["in_a_row"], row["reason"] or "")


async def pass_by(connection: Connection, session_id: str) -> None:
    """Let a session go on past the limit of its account that holds it, until that ends."""
    await connection.execute(SQL.pass_by, session_id)


async def answered(connection: Connection, host: str) -> bool:
    """Lift limits without a time of accounts of which an agent of this host was answered since.

    Returns:
        Whether there were any.
    """
    return bool(await connection.fetch(SQL.answered, host))


def _hold(session_id: str, account_id: str, name: str, until: datetime, in_a_row: int, text: str) -> Hold:
    when = f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    how = f"refused {name}, and is tried again at {when}" if in_a_row else f"lets {name} go on at {when}"
    return Hold(
        state=SessionState.LIMITED,
        reason=f"its provider {how}" + (f": {text}" if text else ""),
        cause=f"account/{account_id}/{until.isoformat()}",
        until=until + staggered(session_id, STAGGER),
    )
