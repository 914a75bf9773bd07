"""What is used, and which versions there are."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import hosts, resources, terminal, tokens, version
from cli.since import since
from stratavore import __version__
from stratavore.errors import InvalidInput
from stratavore.models.views import MachineView, ProjectResourcesView, ResourcesView, SpentView
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve


def spent(key: str | None, tokens: int, cost: float | None, unpriced: int = 0) -> dict[str, Any]:
    view = SpentView(
        key=key,
        project=None,
        replies=2,
        input_tokens=tokens,
        output_tokens=0,
        cache_creation_tokens=0,
        cache_read_tokens=0,
        tokens_used=tokens,
        cost_usd=cost,
        unpriced_tokens=unpriced,
    )
    return view.model_dump(mode="json")


def test_tokens_with_their_sum(run: Run, fake: Serve) -> None:
    daemon = fake(show_tokens=[spent("opus", 1500, 1.5), spent(None, 500, None, 500)])
    lines = run("tokens", "--by", "model", "--since", "2026-01-31").out.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", "opus", "?", "together"]
    assert lines[1].split()[-2:] == ["1.5k", "$1.50"]
    assert lines[2].split()[-2:] == ["500", "?"]
    assert lines[3].endswith("2.0k  ≥ $1.50")
    assert daemon.asked("show_tokens") == [{"by": "model", "since": "2026-01-31T00:00:00+00:00", "project": None}]
    rows = json.loads(run("tokens", "--format", "json").out)
    assert [tuple(row) for row in rows] == [tokens.KEYS] * 2, "programs add up by themselves"
    assert run("tokens", "--by", "week").code == 2


def test_since_when() -> None:
    now = datetime.now(UTC)
    assert datetime.fromisoformat(since("today")) <= now
    assert datetime.fromisoformat(since("today")).hour == 0
    assert abs(datetime.fromisoformat(since("7d")) - (now - timedelta(days=7))) < timedelta(minutes=1)
    assert since("2026-01-31T12:00:00+02:00") == "2026-01-31T12:00:00+02:00"
    for wrong in ("yesterday", "7", "d", "-7d", "999999d", ""):
        with pytest.raises(InvalidInput, match="is no time"):
            since(wrong)


MACHINE = MachineView(
    processors=2, load=1.5, memory_mb=8192, memory_available_mb=4096, disk_mb=102400, disk_free_mb=51200
)
RESOURCES = ResourcesView(
    hosts=(
        examples.host("here", runners=2, memory_mb=300, cpu_percent=12, machine=MACHINE),
        examples.host("there", up=False, lease_s=-60),
    ),
    projects=(ProjectResourcesView(project="site", runners=2, memory_mb=300, cpu_percent=12),),
).model_dump(mode="json")


def test_resources_of_hosts_and_projects(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(show_resources=RESOURCES)
    assert run("resources").out.splitlines() == [
        "HOST   STATE  RUNNERS  MEMORY   CPU  LOAD      MEMORY FREE    DISK FREE",
        "here   up           2  300 MB  12 %  1.5 on 2  4.0 of 8.0 GB  50.0 of 100.0 GB",
        "there  away         0    0 MB   0 %",
        "",
        "PROJECT  RUNNERS  MEMORY   CPU",
        "site           2  300 MB  12 %",
    ]
    monkeypatch.setattr(terminal, "width", lambda: 60)
    assert max(map(len, run("resources").out.splitlines())) <= 60
    shown = json.loads(run("resources", "--format", "json").out)
    assert (tuple(shown), tuple(shown["hosts"][0])) == (resources.KEYS, hosts.KEYS)
    assert tuple(shown["hosts"][0]["machine"]) == hosts.MACHINE_KEYS
    assert shown["hosts"][1]["machine"] is None


def test_versions_of_all_parts(run: Run, fake: Serve) -> None:
    said = {"temporal": "1.29.1", "postgres": "16.14", "pgvector": "0.8.5", "rabbitmq": None}
    fake(daemon_status=examples.daemon() | {"version": __version__}, server_versions=said)
    result = run("version")
    assert result.out.splitlines()[2:] == [
        "Temporal     1.29.1",
        "Postgres     16.14",
        "pgvector     0.8.5",
        "RabbitMQ     it does not say",
    ]
    assert result.err == ""
    shown = json.loads(run("version", "--format", "json").out)
    assert shown == {"client": __version__, "daemon": __version__, "servers": said}
    assert tuple(shown) == version.KEYS


def test_the_daemon_is_of_another_version(run: Run, fake: Serve) -> None:
    fake(daemon_status=examples.daemon() | {"version": "0.0.1"}, server_versions={})
    assert "The daemon is of another version" in run("version").err


def test_a_version_without_a_daemon(run: Run) -> None:
    result = run("version")
    assert (result.code, result.out) == (0, f"stratavore   {__version__}\n")
    assert "The daemon does not answer" in result.err
