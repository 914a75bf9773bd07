"""Alembic's entry: run the migrations through asyncpg, all in one transaction."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from stratavore.store.connection import connect


def _run(connection: Connection) -> None:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def _main() -> None:
    # The driver itself reads the DSN, as everywhere else: SQLAlchemy would understand none of libpq's words in it.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(context.config.attributes["dsn"], patience=None),
        poolclass=NullPool,
    )
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_main())
