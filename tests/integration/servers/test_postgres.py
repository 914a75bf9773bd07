"""A Postgres of one's own: over TLS, with least rights, and one sentence when it cannot be used."""

import asyncio
from typing import Any

import asyncpg
import pytest

from stratavore import connect
from stratavore.errors import InvalidInput, RightsMissing, ServerAway, StratavoreError
from stratavore.events.broker import Broker
from stratavore.events.relay import Relay
from stratavore.servers import database as preparation
from stratavore.servers import trials
from stratavore.store import migrate as migration
from stratavore.store.migrate import HEAD, migrate
from tests.integration.servers.conftest import Postgres
from tests.support.certificates import Certificates
from tests.support.postgres_front import PostgresFront
from tests.support.waiting import until

KEY = b"k" * 32
NOBODY = "127.0.0.1:1"


def words(certificates: Certificates, **changes: Any) -> dict[str, Any]:
    """What the DSN of a server says that wants to know who comes."""
    client = certificates.client
    full = {"sslmode": "verify-full", "sslrootcert": certificates.ca, "sslcert": client.cert, "sslkey": client.key}
    return {name: value for name, value in (full | changes).items() if value is not None}


async def refused(dsn: str) -> StratavoreError:
    with pytest.raises(StratavoreError) as raised:
        await connect.database(dsn, KEY, connections=1)
    said = str(raised.value)
    assert "\n" not in said
    assert ":".join(dsn.partition("@")[0].split(":")[2:]) not in said  # the password
    return raised.value


async def test_everything_goes_through_tls_with_a_client_certificate(
    postgres: Postgres, certificates: Certificates, rabbitmq_url: str
) -> None:
    async with (
        postgres.database() as name,
        PostgresFront.before(postgres.dsn(name), certificates.server.server_context(certificates.ca)) as front,
    ):
        dsn = front.dsn(**words(certificates))
        assert await migrate(dsn) is True
        opened = await connect.database(dsn, KEY, connections=1)
        assert await opened.pool.fetchval("SELECT version_num FROM alembic_version") == HEAD
        await opened.close()
        before = front.encrypted
        broker = Broker(lambda: rabbitmq_url)
        relay = Relay(dsn, broker, key=KEY)
        relaying = asyncio.create_task(relay.run())
        try:
            await until(lambda: relay.partitions, what="a relay at work")
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            await broker.close()
        assert front.encrypted == before + 1
        tried = [trial async for trial in trials.database(dsn)]
        assert [(trial.check, trial.ok) for trial in tried] == [
            ("connect", True),
            ("schema", True),
            ("write", True),
            ("notify", True),
        ]
        assert front.plain == 0


async def test_what_is_wrong_with_tls_is_told(postgres: Postgres, certificates: Certificates) -> None:
    dsn = postgres.dsn("postgres")
    context = certificates.server.server_context(certificates.ca)
    async with PostgresFront.before(dsn, context) as front:
        for changes, meaning in (
            ({"sslrootcert": certificates.other_ca}, "not signed by an authority that is trusted here"),
            ({"sslcert": None, "sslkey": None}, "if it asks for a client certificate, see sslcert"),
            (
                {"sslcert": certificates.stranger.cert, "sslkey": certificates.stranger.key},
                "if it asks for a client certificate, see sslcert",
            ),
        ):
            error = await refused(front.dsn(**words(certificates, **changes)))
            assert isinstance(error, ServerAway)
            assert meaning in str(error)
        wrong: tuple[tuple[dict[str, str], str], ...] = (
            ({"sslrootcert": "/nowhere/ca.pem"}, "A file that sslrootcert, sslcert or sslkey names"),
            ({"sslmode": "strict"}, "must be one of: disable, allow"),
        )
        for words_changed, meaning in wrong:
            error = await refused(front.dsn(**words(certificates, **words_changed)))
            assert isinstance(error, InvalidInput)
            assert meaning in str(error)
    for pair, meaning in (
        (certificates.expired, "its certificate has expired"),
        (certificates.elsewhere, "its certificate is for another host name"),
    ):
        async with PostgresFront.before(dsn, pair.server_context()) as front:
            assert meaning in str(await refused(front.dsn(**words(certificates))))
    assert "rejected SSL upgrade" in str(await refused(f"{dsn}?sslmode=require"))


async def test_what_else_is_wrong_is_told(postgres: Postgres) -> None:
    dsn = postgres.dsn("postgres")
    place = dsn.rpartition("@")[2].partition("/")[0]
    assert str(await refused(f"postgresql://stratavore:wr0ng@{place}/postgres")) == (
        f"Postgres at {place} does not let 'stratavore' do what is needed: password authentication failed for user"
        ' "stratavore". Check user, password and sslcert in postgres.dsn, and the server\'s pg_hba.conf.'
    )
    assert str(await refused(postgres.dsn("no_such"))) == (
        f"There is no database 'no_such' at {place}. Create it with: stratavore setup."
    )
    assert 'unrecognized configuration parameter "sslmod"' in str(await refused(f"{dsn}?sslmod=require"))
    away = str(await refused(f"postgresql://stratavore:s3cret@{NOBODY},127.0.0.1:2/x"))
    assert away.startswith("Postgres cannot be reached at 127.0.0.1:1,127.0.0.1:2: ")


async def test_a_second_address_is_taken_when_the_first_is_dead(postgres: Postgres) -> None:
    credentials, _, rest = postgres.dsn("postgres").rpartition("@")
    opened = await connect.database(f"{credentials}@{NOBODY},{rest}", KEY, connections=1)
    assert await opened.pool.fetchval("SELECT 1") == 1
    await opened.close()


async def steps(dsn: str, *, change: bool = True) -> dict[str, str]:
    return {step.what: str(step.state) for step in await preparation.prepare(dsn, change=change)}


async def test_a_database_is_made_once(postgres: Postgres) -> None:
    name = "made_by_setup"
    dsn = postgres.dsn(name)
    try:
        to_make = {"database": "to make", "extension vector": "to make", "schema": "to make"}
        assert await steps(dsn, change=False) == to_make
        assert await steps(dsn, change=False) == to_make
        assert await steps(dsn) == {"database": "made", "extension vector": "made", "schema": "made"}
        found = {"database": "found", "extension vector": "found", "schema": "found"}
        assert await steps(dsn) == found
        assert await steps(dsn, change=False) == found
    finally:
        await postgres.drop(name)


async def test_a_role_that_may_not_make_what_is_missing_is_told_who_can(postgres: Postgres) -> None:
    async with postgres.role() as role, postgres.database() as name:
        for dsn, meaning in (
            (postgres.dsn("no_such", role), f'Let an administrator run: createdb --owner "{role}" "no_such".'),
            (postgres.dsn(name, role), "Let the database's owner run: stratavore setup"),
        ):
            with pytest.raises(RightsMissing) as raised:
                await preparation.prepare(dsn)
            assert meaning in str(raised.value)
            assert "s3cret" not in str(raised.value)
    async with postgres.role() as role, postgres.database(owner=role) as name:
        with pytest.raises(RightsMissing, match="run in that database: CREATE EXTENSION vector"):
            await preparation.prepare(postgres.dsn(name, role))


async def test_a_server_that_is_too_old_or_has_no_pgvector_is_told(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with postgres.database() as name:
        dsn = postgres.dsn(name)
        monkeypatch.setattr(migration, "OLDEST_POSTGRES", 99)
        with pytest.raises(StratavoreError, match=r"is version \d+, and Stratavore needs 99 or newer\. Upgrade it"):
            await migrate(dsn)
        monkeypatch.undo()
        monkeypatch.setattr(migration, "EXTENSION", "no_such_extension")
        with pytest.raises(StratavoreError, match=r"does not have the extension no_such_extension\. Install pgvector"):
            await migrate(dsn)


async def test_a_database_of_another_version_is_told_and_left_alone(database: str, postgres: Postgres) -> None:
    name = database.rpartition("/")[2]
    await postgres.execute("UPDATE alembic_version SET version_num = '0999'", name)
    with pytest.raises(StratavoreError, match=f"its schema is 0999, and this version knows {HEAD} at most"):
        await migrate(database)
    (first, second) = [trial async for trial in trials.database(database)]
    assert (first.ok, second.ok) == (True, False)
    assert "another version of Stratavore" in second.detail
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0999"
    await connection.close()
