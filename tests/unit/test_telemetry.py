import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from wsgiref.simple_server import WSGIServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore import snapshot, telemetry
from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.views import QuotaView
from stratavore.snapshot import BudgetUse, Several, Snapshot, SnapshotCollector
from stratavore.telemetry import LineFormatter, blot

SNAPSHOT = Snapshot(
    runners={"running": 2, "failed": 1},
    ends={"crashed": 7},
    activities={"waiting": Several(2, 90.5), "busy": Several(1, 1.0)},
    sessions={"running": Several(2, 60.0), "queued": Several(3, 5.5), "ended": Several(1, 1e6)},
    tokens_used=12345,
    outbox=Several(4, 12.5),
    events_dead=1,
    leases={"here": 1_700_000_030.0},
    hosts={"here": "up", "there": "away"},
    quotas=(
        QuotaView(scope="global", project=None, name="max_concurrent_runners", limit=5, used=2, waiting=0),
        QuotaView(scope="project", project="site", name="max_concurrent_runners", limit=None, used=2, waiting=0),
    ),
    budgets=(BudgetUse("global", "", "usd", "daily", 0.25), BudgetUse("session", "site", "tokens", "weekly", 1.5)),
    at=1_700_000_000.5,
)


@contextmanager
def serving(port: int = 0) -> Iterator[WSGIServer]:
    server = telemetry.serve(port)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def scrape(port: int, accept: str = "text/plain") -> dict[str, float]:
    """Samples by name and labels, as Prometheus gets them."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The snapshot is shown during a test."""
    monkeypatch.setattr(snapshot._SNAPSHOTS, "latest", None)
    snapshot.show(SNAPSHOT)
    yield


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_metrics_have_the_promised_names(shown: None, accept: str) -> None:
    with serving() as server:
        samples = scrape(server.server_port, accept)
    assert samples['stratavore_runners_total{status="running"}'] == 2
    assert samples['stratavore_runners_total{status="failed"}'] == 1
    assert samples["stratavore_tokens_used_total"] == 12345
    assert samples['stratavore_sessions{state="queued"}'] == 3
    assert samples["stratavore_outbox_pending"] == 4
    assert samples["stratavore_outbox_oldest_seconds"] == 12.5
    assert samples["stratavore_events_dead"] == 1
    assert samples['stratavore_runner_ends_total{kind="crashed"}'] == 7
    assert samples['stratavore_runner_activity{activity="waiting"}'] == 2
    assert samples["stratavore_waiting_seconds"] == 90.5
    assert samples['stratavore_session_state_seconds{state="queued"}'] == 5.5
    assert samples['stratavore_host_lease_expires_timestamp_seconds{host="here"}'] == 1_700_000_030
    of_hosts = {state: samples[f'stratavore_hosts{{state="{state}"}}'] for state in ("up", "draining", "away")}
    assert of_hosts == {"up": 1, "draining": 0, "away": 1}
    of = '{name="max_concurrent_runners",project="",scope="global"}'
    assert (samples[f"stratavore_quota_limit{of}"], samples[f"stratavore_quota_used{of}"]) == (5, 2)
    assert not any("quota" in name and 'project="site"' in name for name in samples)  # it has no limit
    assert samples['stratavore_budget_used_ratio{period="daily",project="",scope="global",unit="usd"}'] == 0.25
    assert samples['stratavore_budget_used_ratio{period="weekly",project="site",scope="session",unit="tokens"}'] == 1.5
    assert samples["stratavore_snapshot_timestamp_seconds"] == SNAPSHOT.at
    assert {
        "stratavore_heartbeat_latency_seconds_count",
        "stratavore_heartbeat_latency_seconds_sum",
        'stratavore_heartbeat_latency_seconds_bucket{le="+Inf"}',
        "stratavore_events_published_total",
        "stratavore_relay_partitions",
    } <= samples.keys()


def test_every_status_and_state_is_shown_also_if_there_is_none_in_it(shown: None) -> None:
    with serving() as server:
        samples = scrape(server.server_port)
    statuses = {f'stratavore_runners_total{{status="{status}"}}' for status in RunnerStatus}
    states = {f'stratavore_sessions{{state="{state}"}}' for state in SessionState}
    assert statuses | states <= samples.keys()
    assert samples['stratavore_runners_total{status="paused"}'] == 0


def test_before_the_first_snapshot_nothing_is_claimed() -> None:
    assert list(SnapshotCollector().collect()) == []


def test_a_heartbeat_is_counted_in_its_bucket() -> None:
    bucket = 'stratavore_heartbeat_latency_seconds_bucket{le="0.05"}'
    with serving() as server:
        before = scrape(server.server_port)
        telemetry.HEARTBEAT_LATENCY.observe(0.03)
        after = scrape(server.server_port)
    assert after[bucket] - before[bucket] == 1
    smaller = bucket.replace("0.05", "0.02")
    assert after[smaller] == before[smaller]


def test_the_daemon_says_which_it_is() -> None:
    telemetry.describe_daemon("here", "0.1.0")
    with serving() as server:
        assert scrape(server.server_port)['stratavore_daemon_info{host="here",version="0.1.0"}'] == 1


def test_servers_and_the_disk_are_shown(tmp_path: Path) -> None:
    telemetry.show_server("postgres", up=True)
    telemetry.show_server("rabbitmq", up=False)
    telemetry.watch_disk(tmp_path)
    with serving() as server:
        samples = scrape(server.server_port)
    assert samples['stratavore_server_up{server="postgres"}'] == 1
    assert samples['stratavore_server_up{server="rabbitmq"}'] == 0
    assert 0 < samples["stratavore_disk_free_bytes"] < samples["stratavore_disk_size_bytes"]


def test_a_port_that_is_taken_is_not_fought_over(shown: None) -> None:
    with serving() as first, serving(first.server_port) as second:
        assert second.server_port not in (0, first.server_port)
        assert second.server_address[0] == "127.0.0.1"
        assert scrape(second.server_port).keys() == scrape(first.server_port).keys()


def record(
    message: str, *arguments: object, name: str = "worker.daemon", level: int = logging.WARNING
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, __file__, 1, message, arguments, None)
    made.created = 1_700_000_000.1239
    return made


def test_a_record_is_a_line_of_names_and_values() -> None:
    assert LineFormatter().format(record("ready")) == (
        "time=2023-11-14T22:13:20.123Z level=warning logger=worker.daemon message=ready"
    )
    assert LineFormatter().format(record('%s said "%s"\n', "it", "a\\b")).endswith(r'message="it said \"a\\b\"\n"')


def test_an_exception_stays_in_the_line() -> None:
    made = record("failed")
    try:
        raise ValueError("password=hidden\nand more")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = LineFormatter().format(made)
    assert "\n" not in line
    assert "hidden" not in line
    assert fields(line)["exception"].endswith("ValueError: password=***\nand more")
    assert fields(line)["exception"].startswith("Traceback (most recent call last):\n")


def fields(line: str) -> dict[str, str]:
    """A line read back."""
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)', line)
    return {name: json.loads(value) if value.startswith('"') else value for name, value in found}


@given(message=st.text(st.characters()), name=st.text(st.characters(), min_size=1))
def test_every_record_is_one_printable_line_that_can_be_read_back(message: str, name: str) -> None:
    line = LineFormatter().format(record("%s", message, name=name))
    assert line.isprintable()
    assert fields(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "logger": name,
        "message": blot(message),
    }


@pytest.mark.parametrize(
    ("text", "blotted"),
    [
        ("postgresql://stratavore:s3cret@127.0.0.1:5432/x", "postgresql://stratavore:***@127.0.0.1:5432/x"),
        ("amqp://:s3cret@127.0.0.1/ and amqp://u:s3cret@h/", "amqp://:***@127.0.0.1/ and amqp://u:***@h/"),
        ("password=s3cret, user=me", "password=***, user=me"),
        ("{'Password': 's3cret and more', 'user': 'me'}", "{'Password': ***, 'user': 'me'}"),
        (r'{"token": "s3\"cret", "user": "me"}', '{"token": ***, "user": "me"}'),
        ("Authorization: Bearer s3cret", "Authorization: ***"),
        ("Authorization: Basic s3cret", "Authorization: ***"),
        ("X-Api-Key: s3cret", "X-Api-Key: ***"),
        ("ANTHROPIC_API_KEY=s3cret claude", "ANTHROPIC_API_KEY=*** claude"),
        ("AWS_SECRET_ACCESS_KEY=s3cret", "AWS_SECRET_ACCESS_KEY=***"),
        ('{"event_signing_key": "s3cret"}', '{"event_signing_key": ***}'),
        ("PGPASSWORD=s3cret", "PGPASSWORD=***"),
        ("f(secret=s3cret)", "f(secret=***)"),
        ("?token=s3cret&page=2", "?token=***&page=2"),
    ],
)
def test_secrets_are_blotted_out(text: str, blotted: str) -> None:
    assert blot(text) == blotted


@pytest.mark.parametrize(
    "text",
    [
        "ready: host here, metrics at http://127.0.0.1:9091/metrics",
        "tokens_used=12345 max_tokens_per_day: 5",
        "the runner 1a2b3c4d.1 ended: exit code 1",
        "no password was asked for",
    ],
)
def test_what_is_no_secret_is_left(text: str) -> None:
    assert blot(text) == text


def test_a_long_text_is_blotted_in_no_time() -> None:
    began = time.monotonic()
    for text in ("x" * 1_000_000, "password" * 100_000, "://" * 300_000, "token='" + "\\" * 500_000):
        blot(text)
    assert time.monotonic() - began < 30


def test_logs_go_to_the_stream_and_nowhere_else() -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in ("aio_pika", "aiormq")}
    stream = io.StringIO()
    root.handlers = []
    try:
        telemetry.configure_logging(stream)
        logging.getLogger("somewhere").info("hello")
        logging.getLogger("somewhere").debug("too quiet")
        logging.getLogger("aio_pika").error("too noisy")
        (handler,) = root.handlers
    finally:
        root.handlers = kept
        root.setLevel(level)
        for name, was in noisy.items():
            logging.getLogger(name).setLevel(was)
    (line,) = stream.getvalue().splitlines()
    assert (fields(line)["level"], fields(line)["message"]) == ("info", "hello")
    assert abs((datetime.fromisoformat(fields(line)["time"]) - datetime.now(UTC)).total_seconds()) < 60
    assert isinstance(handler.formatter, LineFormatter)
