"""Deleting a project: all of it, or nothing."""

import pytest
from temporalio.exceptions import ApplicationError

from stratavore.models.states import SessionState
from stratavore.store import projects
from tests.integration.store.steps import Session, Store

REFERRING = """
WITH RECURSIVE referring (of) AS (
    SELECT 'projects'::regclass::oid
    UNION
    SELECT conrelid FROM pg_constraint JOIN referring ON confrelid = of WHERE contype = 'f'
)
SELECT of::regclass::text AS name FROM referring
"""


async def test_whatever_refers_to_a_project_is_deleted_with_it(store: Store) -> None:
    tables = {row["name"] for row in await store.fetch(REFERRING)}
    assert {"projects", "sessions", "runners", "usage", "transcript_chunks"} <= tables
    kept = {name for name in tables if f"DELETE FROM {name} " not in projects.SQL["delete"]}
    assert not kept


async def test_the_history_of_another_project_stays(store: Store) -> None:
    site, other = await store.project("site"), await store.project("other")
    for project in (site, other):
        session = Session(project)
        runner = await store.runner(session)
        await store.do(session.record(SessionState.ENDED, runner.runner_id))
        await store.limit(project, 3)
        await add_history(store, session.session_id, runner.runner_id)
    async with store.database.transaction("test") as transaction:
        assert await projects.lock(transaction.connection, site.project_id)
        await projects.delete(transaction.connection, site.project_id)
    counted = ("projects", "sessions", "runners", "usage", "messages", "transcripts", "transcript_chunks", "requests")
    for table in (*counted, "limits"):
        (row,) = await store.fetch(f"SELECT count(*) AS n FROM {table}")
        assert row["n"] == 1, table
    (row,) = await store.fetch("SELECT count(*) AS n FROM events WHERE project = 'site'")
    assert row["n"] > 0


async def test_a_session_of_a_project_that_was_deleted_meanwhile_is_refused_for_good(store: Store) -> None:
    project = await store.project()
    async with store.database.transaction("test") as transaction:
        await projects.delete(transaction.connection, project.project_id)
    with pytest.raises(ApplicationError, match="the project site was deleted") as raised:
        await store.do(Session(project).admit())
    assert raised.value.non_retryable


async def add_history(store: Store, session_id: str, runner_id: str) -> None:
    """A row in every table that a conversation is kept in."""
    for statement in (
        "INSERT INTO usage SELECT $1::uuid, 'm', $2, 'model', now(), 1, 2, 3, 4, 0.5",
        "INSERT INTO messages (session_id, message_id, at, role, text) SELECT $1::uuid, $2, now(), 'user', 'hello'",
        "INSERT INTO requests SELECT gen_random_uuid(), $1::uuid, 'send', 'done', $2",
        "INSERT INTO transcripts (session_id, agent_session_id, subagent, name, path)"
        " SELECT $1::uuid, $2, false, 'file', '/file'",
    ):
        await store.database.pool.execute(statement, session_id, runner_id)
    await store.database.pool.execute(
        "INSERT INTO transcript_chunks SELECT id, 0, 'content' FROM transcripts WHERE session_id = $1", session_id
    )
