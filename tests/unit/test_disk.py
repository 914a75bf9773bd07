"""When a disk is too full, health, the alert and the guide say so alike."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stratavore.health import host
from stratavore.models.findings import PartState
from stratavore.paths import Home
from tests.support.servers import REPOSITORY


@pytest.mark.parametrize(("free", "state"), [(host.LEAST_ROOM - 1, PartState.PROBLEM), (host.LEAST_ROOM, PartState.OK)])
async def test_health_goes_by_what_is_free(
    free: int, state: PartState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=free, total=1024**4)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = await host.disk(Home(tmp_path))
    assert (found.state, bool(found.hint)) == (state, state is PartState.PROBLEM)


def test_alert_and_guide_have_the_same_rule() -> None:
    gigabytes = host.LEAST_ROOM / 1024**3
    groups = yaml.safe_load((REPOSITORY / "deploy/prometheus/rules.yml").read_text())["groups"]
    (rule,) = [one for group in groups for one in group["rules"] if one["alert"] == "StratavoreDiskLow"]
    assert rule["expr"] == f"stratavore_disk_free_bytes < {gigabytes:g} * 1024 ^ 3"
    guide = (REPOSITORY / "docs/operations.md").read_text()
    assert f"`health` and the alert `StratavoreDiskLow` say so below {gigabytes:g} GB. " in guide
    assert f"| `StratavoreDiskLow` | critical | under {gigabytes:g} GB for 5 minutes |" in guide
