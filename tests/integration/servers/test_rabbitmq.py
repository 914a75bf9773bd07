"""A RabbitMQ of one's own: over TLS, with several addresses and least rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from yarl import URL

from stratavore.embedded.keeper import Keeper
from stratavore.embedded.rabbitmq import EpmdServer
from stratavore.embedded.records import Records
from stratavore.errors import ServerAway
from stratavore.events.broker import Broker, BrokerAway
from stratavore.events.envelope import EventRow
from stratavore.servers import exchange as preparation
from stratavore.servers import trials
from stratavore.tls import TlsFiles
from tests.support import guide, servers
from tests.support.certificates import Certificates
from tests.support.tls_rabbitmq import TlsRabbitmq

DEAD = "amqps://stratavore:hidden@localhost:1/"
RUNNING, MAKING = "stratavore", "stratavore_setup"
LIMITED = "limited"

pytestmark = pytest.mark.xdist_group("rabbitmq of one's own")


def rights(user: str) -> tuple[str, str, str]:
    """What the guide gives a user."""
    configure, write, read = guide.command("deployment", "rabbitmqctl", "set_permissions", "-p", "/", user)
    return configure, write, read


@pytest.fixture(scope="module")
def url(homes: Path, certificates: Certificates) -> str:
    """Of an administrator, on a node that stops with ``homes``."""
    home = servers.new_home(homes)
    users = {LIMITED: rights(RUNNING), MAKING: rights(MAKING)}

    async def start() -> str:
        records = Records(home.servers_file)
        epmd, server = EpmdServer(home), TlsRabbitmq(home, certificates, users)
        await Keeper(epmd, records).bring_up(lambda _: None)
        server.epmd_port = records["epmd"].ports["epmd"]
        await Keeper(server, records).bring_up(lambda _: None)
        return records["rabbitmq"].url

    return servers.run_apart(start())


@pytest.fixture
def files(certificates: Certificates) -> TlsFiles:
    return TlsFiles(certificates.ca, *certificates.client)


@pytest.fixture
async def limited(url: str, files: TlsFiles) -> AsyncIterator[str]:
    """The URL of the user that may not make the exchange."""
    yield str(URL(url).with_user(LIMITED))


async def reason(url: str, files: TlsFiles) -> str:
    with pytest.raises(BrokerAway) as raised:
        await Broker(lambda: url, tls=files).ready()
    assert "s3cret" not in str(raised.value)
    assert "hidden" not in str(raised.value)
    return str(raised.value)


def event() -> EventRow:
    now = datetime.now(UTC)
    unsigned = EventRow(
        id="0d4e8a3e-0000-4000-8000-000000000003",
        session_id=None,
        sequence=0,
        key="1",
        type="system.alert",
        project="",
        time=now,
        data={"severity": "info"},
    )
    return unsigned.signed(b"k" * 32)


async def test_with_least_rights_over_tls_the_exchange_is_made_once_and_events_come_through(
    url: str, limited: str, files: TlsFiles
) -> None:
    making = str(URL(url).with_user(MAKING))
    # Nobody made it yet, and who may only use it is told so.
    assert [step.state for step in await preparation.prepare(limited, files, change=False)] == ["to make"]
    with pytest.raises(ServerAway, match=r"ACCESS_REFUSED.*see 'Rights' in docs/deployment\.md"):
        await preparation.prepare(limited, files)
    assert [step.state for step in await preparation.prepare(making, files)] == ["made"]
    assert [step.state for step in await preparation.prepare(making, files)] == ["found"]
    assert [step.state for step in await preparation.prepare(limited, files)] == ["found"]

    broker, ready = Broker(lambda: limited, tls=files), asyncio.Event()
    async with aclosing(broker.subscribe("system.#", ready=ready)) as events:
        heard = asyncio.ensure_future(anext(events))
        await asyncio.wait_for(ready.wait(), 30)
        await broker.ready()
        await broker.publish(event())
        assert (await asyncio.wait_for(heard, 30))["type"] == "system.alert"
    await broker.close()
    tried = [trial async for trial in trials.messaging(limited, files)]
    assert [(trial.check, trial.ok) for trial in tried] == [("connect", True), ("round trip", True)], tried


async def test_the_first_address_that_answers_is_taken(url: str, files: TlsFiles) -> None:
    broker = Broker(lambda: f"{DEAD},{url}", tls=files)
    await broker.ready()
    await broker.publish(event())
    await broker.close()
    place, there = await Broker(lambda: f"{DEAD} {url}", tls=files).look()
    assert (place, there) == (f"localhost:{URL(url).port}", True)
    both_dead = await reason(f"{DEAD},amqps://stratavore:hidden@127.0.0.1:2/", files)
    assert both_dead.startswith("localhost:1: ")
    assert "; 127.0.0.1:2: " in both_dead


async def test_what_is_wrong_with_tls_or_the_user_is_told(
    url: str, files: TlsFiles, certificates: Certificates
) -> None:
    port = URL(url).port
    assert "not signed by an authority that is trusted" in await reason(url, replace(files, ca=certificates.other_ca))
    assert "client certificate" in await reason(url, replace(files, cert=None, key=None))
    strange = replace(files, cert=certificates.stranger.cert, key=certificates.stranger.key)
    assert "client certificate" in await reason(url, strange)
    assert "another host name" in await reason(str(URL(url).with_host("127.0.0.1")), files)
    assert "does not take the user or the password" in await reason(str(URL(url).with_password("wr0ng")), files)
    assert "check the virtual host" in await reason(str(URL(url).with_path("/nowhere")), files)
    (trial,) = [trial async for trial in trials.messaging(url, replace(files, ca=certificates.other_ca))]
    assert trial.detail == (
        f"RabbitMQ cannot be reached at localhost:{port}: its certificate is not signed by an authority that is"
        " trusted here; name the right CA file. See rabbitmq in docs/configuration.md."
    )


async def test_an_expired_certificate_is_told(files: TlsFiles, certificates: Certificates) -> None:
    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(ends, "localhost", 0, ssl=certificates.expired.server_context())
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert "has expired" in await reason(f"amqps://u:s3cret@localhost:{port}/", files)
