"""The compose file against what it relies on: files, settings, passwords and images."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stratavore.config.keys import SETTINGS
from tests.support.stacks import IMAGES

REPOSITORY = Path(__file__).parents[2]
DIRECTORY = REPOSITORY / "temporal-compose"
TEXT = (DIRECTORY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}")

each_service = pytest.mark.parametrize("name", SERVICES)


@each_service
def test_the_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*", SERVICES[name]["image"])


@each_service
def test_the_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"].keys() == {"test", "interval", "timeout", "retries", "start_period"}


@each_service
def test_ports_are_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@each_service
def test_what_is_mounted_exists(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source = mount.partition(":")[0]
        if source.startswith("."):
            assert (DIRECTORY / source).exists()
        elif not source.startswith("${"):
            assert source in COMPOSE["volumes"]


@each_service
def test_who_is_waited_for_is_there(name: str) -> None:
    assert set(SERVICES[name].get("depends_on", ())) <= SERVICES.keys()


def test_every_variable_is_in_the_example() -> None:
    example = dict(
        line.split("=", 1)
        for line in (DIRECTORY / ".env.example").read_text().splitlines()
        if not line.startswith("#") and line
    )
    assert set(VARIABLE.findall(TEXT)) == example.keys()
    assert all(not value for name, value in example.items() if name.endswith("_PASSWORD"))


def test_a_missing_password_stops_it() -> None:
    assert all(
        found.group().endswith(":?run make compose-env}")
        for found in VARIABLE.finditer(TEXT)
        if found.group(1).endswith("_PASSWORD")
    )


def test_the_daemon_understands_its_settings() -> None:
    known = {one.variable: one for one in SETTINGS.values()}
    for variable, value in SERVICES["stratavore"]["environment"].items():
        known[variable].from_text(VARIABLE.sub("x", value))


def test_the_suite_runs_on_the_same_servers() -> None:
    assert SERVICES["postgres"]["image"] == IMAGES["postgres"]
    assert SERVICES["rabbitmq"]["image"] == IMAGES["rabbitmq"]


def test_the_daemons_image_is_of_this_version_and_holds_all_packages() -> None:
    assert SERVICES["stratavore"]["image"] == f"stratavore:{PROJECT['project']['version']}"
    packages = {one.rstrip("*") for one in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for package in packages:
        assert f"\nCOPY {package} {package}\n" in dockerfile
        assert f"!{package}" in ignored


def test_prometheus_scrapes_the_daemon_and_reads_the_rules() -> None:
    own = yaml.safe_load((DIRECTORY / "prometheus.yml").read_text())
    usual = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yml").read_text())
    (job,), (usual_job,) = own.pop("scrape_configs"), usual.pop("scrape_configs")
    assert own == usual
    assert job["job_name"] == usual_job["job_name"]
    port = SETTINGS["metrics.port"].default
    assert job["static_configs"] == [{"targets": [f"stratavore:{port}"]}]
