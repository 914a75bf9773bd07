"""Prometheus scrapes a daemon; rules, dashboards and the documentation speak of metrics that there are."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from stratavore.embedded.ports import choose
from tests.support.daemon import DaemonProcess
from tests.support.servers import REPOSITORY
from tests.support.waiting import answer

PROMETHEUS = REPOSITORY / "deploy/prometheus"
DASHBOARDS = sorted((REPOSITORY / "deploy/grafana/dashboards").glob("*.json"))
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0]["rules"]
OPERATIONS = REPOSITORY / "docs/operations.md"
_NAME = re.compile(r"\bstratavore_[a-z_]+\b")


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions() -> Iterator[str]:
    """Everything that a dashboard asks."""
    for file in DASHBOARDS:
        board = json.loads(file.read_text())
        yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
        yield from (one["expr"] for one in board["annotations"]["list"])


def families(text: str) -> set[str]:
    """The metrics of this program on a page of a daemon."""
    kinds = re.findall(r"^# TYPE (stratavore_\w+) (\w+)$", text, re.MULTILINE)
    return {name for name, _ in kinds if not name.endswith("_created")}


def family(name: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", name)


async def get(url: str) -> str:
    def read() -> str:
        with urlopen(url, timeout=10) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(read)


async def page(daemon: DaemonProcess) -> str:
    """What the daemon shows, once it has asked Postgres."""
    address = (await daemon.call("daemon_status"))["metrics"]

    async def shown() -> str:
        text = await get(address)
        return text if "stratavore_snapshot_timestamp_seconds " in text else ""

    return await answer(shown, what="a snapshot")


class Prometheus:
    """A running one."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, path: str, **parameters: str) -> Any:
        found = json.loads(await get(f"http://{self._address}/api/v1/{path}?{urlencode(parameters)}"))
        assert found["status"] == "success", found
        return found["data"]

    async def value(self, expression: str) -> float | None:
        """The one value of an expression; None if there is none yet."""
        found = (await self.ask("query", query=expression))["result"]
        return float(found[0]["value"][1]) if found else None


@asynccontextmanager
async def scraping(target: str, directory: Path) -> AsyncIterator[Prometheus]:
    """Prometheus with the configuration of ``deploy``, but for the target and how often it looks."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(PROMETHEUS / name) for name in configuration["rule_files"]]
    (job,) = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{choose({'web': 0}, {}, taken=set())['web']}"
    words = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        prometheus = Prometheus(address)

        async def ready() -> bool:
            assert process.poll() is None, (directory / "log").read_text()
            try:
                return bool(await get(f"http://{address}/-/ready"))
            except OSError:
                return False

        await answer(ready, what="a ready Prometheus")
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)


def test_the_configuration_and_the_rules_are_understood() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "config", "prometheus.yml")


def test_alerts_fire_when_they_should_and_not_when_all_is_well() -> None:
    promtool("test", "rules", "rules_test.yml")


def test_every_alert_is_seen_firing() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    samples = [sample for test in tests for check in test["promql_expr_test"] for sample in check["exp_samples"]]
    assert {re.findall('"(.*)"', sample["labels"])[0] for sample in samples} == {rule["alert"] for rule in RULES}


def documented() -> set[str]:
    """Metrics and alerts in the tables of the documentation."""
    section = OPERATIONS.read_text().partition("## Metrics and alerts")[2].partition("\n## ")[0]
    return {row.split("`")[1].partition("{")[0] for row in section.splitlines() if row.startswith("| `")}


def test_every_alert_is_documented() -> None:
    assert {name for name in documented() if name.startswith("Stratavore")} == {rule["alert"] for rule in RULES}


async def test_rules_dashboards_and_documentation_have_the_metrics_that_a_daemon_shows(daemon: DaemonProcess) -> None:
    shown = families(await page(daemon))
    asked = " ".join([*(rule["expr"] for rule in RULES), *expressions()])
    named = {family(name) for name in _NAME.findall(asked)}
    assert len(named) > 15
    assert named - shown == set()
    assert {name for name in documented() if name.startswith("stratavore_")} == shown


async def test_prometheus_scrapes_a_daemon_and_hears_of_its_end(daemon: DaemonProcess, tmp_path: Path) -> None:
    project = await daemon.project(["cat"])
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "running")
    target = (await daemon.call("daemon_status"))["metrics"].removeprefix("http://").removesuffix("/metrics")
    async with scraping(target, tmp_path) as prometheus:

        async def is_(expression: str, expected: float) -> bool:
            return await prometheus.value(expression) == expected

        await answer(lambda: is_('up{job="stratavore"}', 1), what="a scrape")
        await answer(lambda: is_('stratavore_runners_total{status="running"}', 1), what="a running runner")
        await answer(lambda: is_('stratavore_server_up{server="temporal"}', 1), what="Temporal")
        assert await prometheus.value("stratavore_tokens_used_total") == 0
        for expression in expressions():
            await prometheus.ask("query", query=expression)  # it is understood
        daemon.kill()
        await answer(lambda: is_('up{job="stratavore"}', 0), what="a failed scrape")

        async def pending() -> bool:
            alerts = (await prometheus.ask("alerts"))["alerts"]
            return "StratavoreDaemonDown" in {alert["labels"]["alertname"] for alert in alerts}

        await answer(pending, what="an alert")
        (group,) = (await prometheus.ask("rules"))["groups"]
        assert {rule["health"] for rule in group["rules"]} == {"ok"}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_has_what_grafana_needs(file: Path) -> None:
    board = json.loads(file.read_text())
    provisioning = REPOSITORY / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/stratavore.yml").read_text())["datasources"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
