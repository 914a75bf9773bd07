"""Servers as a person has them: somebody else's, behind TLS, with rights for what is needed and no more."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support import servers
from tests.support.certificates import Certificates
from tests.support.stacks import Stack


@pytest.fixture(scope="session")
def certificates() -> Iterator[Certificates]:
    with Certificates.made() as made:
        yield made


class Postgres:
    """The run's Postgres, for who makes databases and roles on it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def execute(self, statement: str, database: str = "postgres") -> None:
        """As administrator."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def dsn(self, database: str, role: str | None = None) -> str:
        """Of a database; for a role its password is ``s3cret``."""
        dsn = servers.dsn_of(self._stack, database)
        if role is None:
            return dsn
        parts = urlsplit(dsn)
        return parts._replace(netloc=f"{role}:s3cret@{parts.netloc.rpartition('@')[2]}").geturl()

    @asynccontextmanager
    async def role(self, rights: str = "") -> AsyncIterator[str]:
        """A role that may log in, and what else is said."""
        name = f"role_{uuid.uuid4().hex[:12]}"
        await self.execute(f"CREATE ROLE {name} LOGIN PASSWORD 's3cret' {rights}")
        yield name
        await self.execute(f"DROP ROLE {name}")

    @asynccontextmanager
    async def database(self, owner: str | None = None) -> AsyncIterator[str]:
        """The name of an empty database; with an owner it gets the extension, as an administrator would give it."""
        name = f"own_{uuid.uuid4().hex[:12]}"
        await self.execute(f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
        yield name
        await self.drop(name)

    async def drop(self, database: str) -> None:
        """Whoever is connected."""
        await self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture
def postgres(stack: Stack) -> Postgres:
    return Postgres(stack)
