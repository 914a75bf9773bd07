"""The embedded servers: started, adopted, brought back, stopped. Most go without RabbitMQ, which is slow."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from temporalio.client import Client

from stratavore.config.settings import PostgresSettings, RabbitmqSettings, Settings, TemporalSettings
from stratavore.embedded import ports, rabbitmq
from stratavore.embedded.process import Process
from stratavore.embedded.server import MARK
from stratavore.embedded.stack import EmbeddedStack, ServerInfo
from stratavore.errors import ServerAway, ServerMissing
from stratavore.paths import Home
from tests.support.servers import free_ports, wait_for_rabbitmq
from tests.support.waiting import until


def without_rabbitmq() -> Settings:
    return free_ports(rabbitmq=False)


def by_name(stack: EmbeddedStack) -> dict[str, ServerInfo]:
    return {info.name: info for info in stack.servers()}


def process_of(stack: EmbeddedStack, name: str) -> Process:
    pid = by_name(stack)[name].pid
    assert pid is not None
    process = Process.of(pid)
    assert process is not None
    return process


def pids(stack: EmbeddedStack) -> dict[str, int | None]:
    return {info.name: info.pid for info in stack.servers()}


def belonging_to(home: Home, stack: EmbeddedStack) -> list[str]:
    """Every living process of the state directory, found without its records."""
    mark = f"{MARK}={home.fingerprint}/".encode()
    directories = tuple(str(directory) for directory in stack.directories)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or Process.of(int(entry.name)) is None:
            continue
        try:
            environment = (entry / "environ").read_bytes()
            inside = str((entry / "cwd").readlink()).startswith(directories)
        except OSError:
            continue
        if inside or mark in environment:
            found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.fixture
async def running(home: Home) -> AsyncIterator[EmbeddedStack]:
    stack = EmbeddedStack(home, without_rabbitmq())
    await stack.start()
    yield stack
    await stack.stop()


async def test_everything_runs(home: Home) -> None:
    said: list[str] = []
    stack = EmbeddedStack(home, free_ports())
    await stack.start(said.append)
    assert {"temporal", "postgres"} <= {name for name, info in by_name(stack).items() if info.state == "running"}
    assert by_name(stack)["rabbitmq"].state in ("starting", "running")
    assert any(line.startswith("Postgres started on 127.0.0.1:") for line in said)

    client = await Client.connect(stack.temporal_address)
    assert await client.service_client.check_health()
    connection = await asyncpg.connect(stack.postgres_dsn)
    assert await connection.fetchval("SELECT current_database()") == "stratavore_state"
    await connection.execute("CREATE EXTENSION vector")
    await connection.close()
    assert (await wait_for_rabbitmq(stack)).startswith("amqp://stratavore:")
    assert by_name(stack)["rabbitmq"].ui

    for file in (
        home.servers_file,
        home.secrets_file,
        home.root / "pgpass",
        home.root / "rabbitmq/rabbitmq.conf",
    ):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await stack.stop()
    assert [info.state for info in stack.servers()] == ["stopped"] * 3
    assert belonging_to(home, stack) == []


def holds(home: Home, queue: bytes) -> bool:
    """Whether a queue outlives RabbitMQ, which answers up to two seconds before.

    What it writes down in two tables counts once the decision stands behind it in the log, which is written lazily.
    """
    logs = (file.read_bytes() for file in home.root.rglob("mnesia/**/*.LOG"))
    return any(b"committed" in log.rpartition(queue)[2] for log in logs if queue in log)


async def test_rabbitmq_comes_back_with_what_it_held(home: Home) -> None:
    import aio_pika

    stack = EmbeddedStack(home, free_ports())
    await stack.start()
    url = await wait_for_rabbitmq(stack)
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True)
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "kept")
    await until(lambda: holds(home, b"kept"), what="the queue on the disk")
    killed = process_of(stack, "rabbitmq")
    epmd = stack._records["epmd"].process
    assert epmd is not None
    killed.send(signal.SIGKILL)
    epmd.send(signal.SIGKILL)
    await until(lambda: not killed.alive() and not epmd.alive())

    await stack.ensure()
    assert await wait_for_rabbitmq(stack) == url
    assert process_of(stack, "rabbitmq") != killed
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("kept")
        message_back = await queue.get(no_ack=True)
        assert message_back is not None
        assert message_back.body == b"kept"


async def test_psql_command_works(running: EmbeddedStack) -> None:
    command = f"{running.psql_command} -tAc 'SELECT current_user'"
    shell = await asyncio.create_subprocess_shell(command, stdout=subprocess.PIPE)
    output, _ = await shell.communicate()
    assert output == b"stratavore\n"


async def test_postgres_wants_the_password(running: EmbeddedStack) -> None:
    host, _, rest = running.postgres_dsn.partition(":")[2].partition("@")[2].partition("/")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://stratavore:wrong@{host}/{rest}")


async def test_the_next_daemon_adopts(running: EmbeddedStack, home: Home) -> None:
    said: list[str] = []
    following = EmbeddedStack(home, without_rabbitmq())
    await following.start(said.append)
    assert pids(following) == pids(running)
    assert all("found running" in line for line in said)
    assert len(said) == 2


async def test_servers_are_found_when_their_records_name_no_process(running: EmbeddedStack, home: Home) -> None:
    before = pids(running)
    for name in ("temporal", "postgres"):
        running._records.forget_process(name)
    following = EmbeddedStack(home, without_rabbitmq())
    await following.start()
    assert pids(following) == before


async def test_servers_whose_records_are_lost_are_started_anew(running: EmbeddedStack, home: Home) -> None:
    before = pids(running)
    home.servers_file.unlink()
    following = EmbeddedStack(home, without_rabbitmq())
    await following.start()
    after = pids(following)
    assert set(after.values()).isdisjoint({before["temporal"], before["postgres"]})
    assert len([line for line in belonging_to(home, following) if "temporal" in line]) == 1


@pytest.mark.parametrize("name", ["temporal", "postgres"])
async def test_a_killed_server_comes_back_where_it_was(running: EmbeddedStack, name: str) -> None:
    connection = await asyncpg.connect(running.postgres_dsn)
    await connection.execute("CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES")
    before = running.servers()
    killed = process_of(running, name)
    killed.send(signal.SIGKILL)
    await until(lambda: not killed.alive())
    assert by_name(running)[name].state == "stopped"

    await running.ensure()
    assert process_of(running, name) != killed
    assert [info.address for info in running.servers()] == [info.address for info in before]
    assert by_name(running)[name].state == "running"
    connection.terminate()
    connection = await asyncpg.connect(running.postgres_dsn)
    assert await connection.fetchval("SELECT count(*) FROM kept") == 1
    await connection.close()


async def test_ensure_changes_nothing_while_all_live(running: EmbeddedStack, home: Home) -> None:
    before = home.servers_file.stat().st_mtime_ns
    await running.ensure()
    assert home.servers_file.stat().st_mtime_ns == before


async def test_a_restart_takes_the_same_ports(home: Home) -> None:
    stack = EmbeddedStack(home, without_rabbitmq())
    await stack.start()
    addresses = [info.address for info in stack.servers()]
    await stack.stop()
    following = EmbeddedStack(home, without_rabbitmq())
    await following.start()
    assert [info.address for info in following.servers()] == addresses


async def test_a_port_that_a_stranger_took_is_left_to_him(home: Home) -> None:
    stack = EmbeddedStack(home, without_rabbitmq())
    await stack.start()
    taken = stack.temporal_address, stack.postgres_dsn
    await stack.stop()
    strangers = [
        socket.create_server(("127.0.0.1", int(address.rpartition(":")[2].partition("/")[0]))) for address in taken
    ]
    try:
        following = EmbeddedStack(home, without_rabbitmq())
        await following.start()
        assert following.temporal_address != taken[0]
        assert following.postgres_dsn != taken[1]
        recorded = EmbeddedStack.recorded(home)
        assert recorded is not None
        assert recorded.temporal_address == following.temporal_address
    finally:
        for stranger in strangers:
            stranger.close()


async def test_two_daemons_want_the_same_ports_at_the_same_moment(homes: Path) -> None:
    usual = ports.choose({"grpc": 0, "ui": 0, "postgres": 0}, {})
    settings = Settings(
        temporal=TemporalSettings(port=usual["grpc"], ui_port=usual["ui"]),
        postgres=PostgresSettings(port=usual["postgres"]),
        rabbitmq=RabbitmqSettings(enabled=False),
    )
    both = [EmbeddedStack(Home(homes / name), settings) for name in ("one", "two")]
    await asyncio.gather(*(stack.start() for stack in both))
    addresses = [{info.address for info in stack.servers() if info.pid} for stack in both]
    assert all(len(found) == 2 for found in addresses)
    assert addresses[0].isdisjoint(addresses[1])
    assert f"127.0.0.1:{usual['grpc']}" in addresses[0] | addresses[1]
    for stack in both:
        connection = await asyncpg.connect(stack.postgres_dsn)
        await connection.close()
    await both[0].stop()
    assert [info.state for info in both[1].servers()][:2] == ["running", "running"]
    await both[1].stop()


async def test_a_pid_file_that_names_another_living_process_is_no_obstacle(home: Home) -> None:
    stack = EmbeddedStack(home, without_rabbitmq())
    await stack.start()
    killed = process_of(stack, "postgres")
    killed.send(signal.SIGKILL)
    await until(lambda: not killed.alive())
    pid_file = stack._postgres.data / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(killed.pid), str(os.getpid()), 1))
    await stack.ensure()
    assert by_name(stack)["postgres"].state == "running"


async def test_a_state_directory_made_anew_starts_anew(home: Home) -> None:
    stack = EmbeddedStack(home, without_rabbitmq())
    await stack.start()
    connection = await asyncpg.connect(stack.postgres_dsn)
    await connection.execute("CREATE TABLE former ()")
    await connection.close()
    shutil.rmtree(home.root)  # while its servers run

    following = EmbeddedStack(home, without_rabbitmq())
    await following.start()
    connection = await asyncpg.connect(following.postgres_dsn)
    assert await connection.fetchval("SELECT to_regclass('former')") is None
    await connection.close()
    assert len([line for line in belonging_to(home, following) if "temporal" in line]) == 1


async def test_recorded_knows_and_stops_what_runs(running: EmbeddedStack, home: Home) -> None:
    recorded = EmbeddedStack.recorded(home)
    assert recorded is not None
    assert recorded.temporal_address == running.temporal_address
    assert recorded.temporal_ui == running.temporal_ui
    assert recorded.postgres_dsn == running.postgres_dsn
    assert recorded.psql_command == running.psql_command
    assert recorded.rabbitmq_url is None
    assert pids(recorded) == pids(running)
    await recorded.stop()
    assert belonging_to(home, running) == []


def test_nothing_is_recorded_where_nothing_ever_ran(home: Home) -> None:
    assert EmbeddedStack.recorded(home) is None


async def test_servers_that_the_settings_name_are_not_started(running: EmbeddedStack, homes: Path) -> None:
    settings = Settings(
        temporal=TemporalSettings(address=running.temporal_address, ui_address="http://temporal.example:8080"),
        postgres=PostgresSettings.model_validate({"dsn": running.postgres_dsn}),
        rabbitmq=RabbitmqSettings.model_validate(
            {"url": "amqp://me:secret@broker:5672/", "management_url": "http://broker:15672"}
        ),
    )
    home = Home(homes / "external")
    stack = EmbeddedStack(home, settings)
    await stack.start()
    await stack.ensure()
    assert [(info.state, info.pid) for info in stack.servers()] == [("external", None)] * 3
    assert by_name(stack)["rabbitmq"].address == "broker:5672"
    assert "secret" not in repr(stack.servers())
    assert stack.rabbitmq_url == "amqp://me:secret@broker:5672/"
    assert stack.temporal_ui == "http://temporal.example:8080"
    assert by_name(stack)["rabbitmq"].ui == "http://broker:15672"
    assert ":" not in stack.psql_command.partition("://")[2].partition("@")[0]
    assert belonging_to(home, stack) == []
    recorded = EmbeddedStack.recorded(home)
    assert recorded is not None
    assert recorded.postgres_dsn == running.postgres_dsn


async def test_a_server_that_is_no_longer_wanted_is_stopped(running: EmbeddedStack, home: Home) -> None:
    former = process_of(running, "temporal")
    settings = without_rabbitmq().model_copy(update={"temporal": TemporalSettings(address="elsewhere:7233")})
    await EmbeddedStack(home, settings).start()
    assert not former.alive()


async def test_without_rabbitmq_everything_else_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "find_server", lambda: None)
    stack = EmbeddedStack(home, free_ports())
    await stack.start()
    await stack.ensure()
    info = by_name(stack)["rabbitmq"]
    assert info.state == "missing"
    assert "rabbitmq-server" in info.detail
    assert stack.rabbitmq_url is None
    assert by_name(stack)["postgres"].state == "running"


async def test_without_temporal_it_says_what_to_do_and_keeps_the_rest(home: Home) -> None:
    settings = without_rabbitmq().model_copy(update={"temporal": TemporalSettings(binary="/no/such/program")})
    stack = EmbeddedStack(home, settings)
    with pytest.raises(ServerMissing, match="make up"):
        await stack.start()
    assert by_name(stack)["postgres"].state == "running"


async def test_a_server_that_does_not_start_is_quoted(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratavore.embedded.keeper.PAUSES", (0.01,))
    broken = tmp_path / "temporal"
    broken.write_text("#!/bin/sh\necho the machine is on fire\n")
    broken.chmod(0o755)
    settings = without_rabbitmq().model_copy(update={"temporal": TemporalSettings(binary=str(broken), port=0)})
    with pytest.raises(ServerAway, match="the machine is on fire"):
        await EmbeddedStack(home, settings).start()
