"""The health of a running system: every part is looked at, and what is wrong is a problem with a way out."""

from typing import Any

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer


async def parts(daemon: DaemonProcess) -> dict[str, dict[str, Any]]:
    """What was found, by name."""
    return {one["name"]: one for one in (await daemon.call("health"))["parts"]}


async def begins(daemon: DaemonProcess) -> None:
    """Wait until all is well: Temporal hears of a daemon's workers a moment after the daemon answers."""

    async def well() -> bool:
        return all(one["state"] == "ok" for one in (await parts(daemon)).values())

    await answer(well, what="a daemon that works")


async def test_a_daemon_that_works_is_healthy_and_tells_its_figures(daemon: DaemonProcess) -> None:
    cli = CommandLine(daemon.environment, daemon.home.root)
    await begins(daemon)
    assert await cli.done("health") == "healthy\n"
    found = await parts(daemon)
    assert {name for name, one in found.items() if one["state"] != "ok"} == set()
    wanted = {"daemon", "temporal", "postgres", "clock", "rabbitmq", "events", "lease", "disk", "tmux", "conversations"}
    assert found.keys() == wanted
    assert found["temporal"]["figures"]["namespace"] == daemon.namespace
    assert found["temporal"]["figures"]["session_workers"] >= 1 <= found["temporal"]["figures"]["host_workers"]
    assert found["postgres"]["figures"]["round_trip_ms"] > 0 < found["postgres"]["figures"]["megabytes"]
    assert abs(found["clock"]["figures"]["ahead_s"]) < 1
    assert 0 < found["lease"]["figures"]["left_s"] <= 30
    told = await cli.done("health", "--verbose")
    assert all(f"  {name} " in told for name in wanted)


async def test_what_is_wrong_is_a_problem_with_a_way_out(daemon: DaemonProcess) -> None:
    cli = CommandLine(daemon.environment, daemon.home.root)
    await begins(daemon)
    await daemon.fetch("UPDATE alembic_version SET version_num = '0001'")
    await daemon.fetch(
        "WITH made AS (INSERT INTO events (id, sequence, key, type, project, time, data, signature)"
        " VALUES (gen_random_uuid(), 0, 'x', 'system.alert', '', now(), '{}', '') RETURNING id)"
        " INSERT INTO outbox (event_id, partition, dead) SELECT id, 0, true FROM made"
    )
    found = await parts(daemon)
    assert {name for name, one in found.items() if one["state"] == "problem"} == {"postgres", "events"}
    assert all(one["hint"] for one in found.values() if one["state"] != "ok")
    assert found["events"]["figures"]["dead"] == 1
    result = await cli("health")
    assert result.code == 1
    assert "but this version needs" in result.out and "1 were refused by RabbitMQ" in result.out
    assert result.out.endswith("not healthy\n")
    # Without a daemon the servers are looked at.
    daemon.kill()
    result = await cli("health", "--verbose")
    assert result.code == 1
    lines = {line.split()[1]: line.split()[0] for line in result.out.splitlines() if line[:1] not in (" ", "n")}
    assert (lines["daemon"], lines["disk"], lines["rabbitmq"]) == ("problem", "ok", "warning")
    reconciled = await cli("reconcile")
    assert (reconciled.code, reconciled.out) == (0, "Nothing differs.\n")
    assert f"Not looked at: processes, terminals and run directories of the host {daemon.host}" in reconciled.err
