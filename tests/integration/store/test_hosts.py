"""Hosts in Postgres: a name, and who may renew its lease."""

import uuid

from stratavore.store import hosts
from tests.integration.store.steps import HOST, Store


async def renew(store: Store, state_directory: uuid.UUID, lease_seconds: float = 3600) -> bool:
    """As a daemon of that state directory."""
    async with store.database.pool.acquire() as connection:
        renewed = await hosts.renew(
            connection,
            HOST,
            uuid.uuid4(),
            state_directory=state_directory,
            version="1",
            boot_id="boot",
            lease_seconds=lease_seconds,
        )
        return renewed is not None


async def test_a_host_is_of_one_state_directory_while_its_lease_is_good(store: Store) -> None:
    await store.host(lease_seconds=-1)
    mine, other = uuid.uuid4(), uuid.uuid4()
    assert await renew(store, mine)
    before = await store.fetch("SELECT * FROM hosts")
    assert not await renew(store, other)
    assert await store.fetch("SELECT * FROM hosts") == before
    assert await renew(store, mine, lease_seconds=-1)
    assert await renew(store, other)
    assert not await renew(store, mine)
