"""The daemon's own metrics for Prometheus (``stratavore/snapshot.py`` has the others), and logs in one line each."""

import json
import logging
import os
import re
import shutil
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO
from wsgiref.simple_server import WSGIServer

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from stratavore.errors import InvalidInput

HEARTBEAT_LATENCY = Histogram(
    "stratavore_heartbeat_latency_seconds",
    "How long Temporal took to take the heartbeat of a runner's supervision",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
RECOVERY = Histogram(
    "stratavore_recovery_seconds",
    "How long it took from a loss that was noticed until what was lost ran again",
    ["cause"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
EVENTS_PUBLISHED = Counter(
    "stratavore_events_published_total", "Events that the broker confirmed to this daemon's relay"
)
RELAY_PARTITIONS = Gauge("stratavore_relay_partitions", "Partitions of the outbox that this daemon's relay sends")
TRANSCRIPT_ROWS = Counter(
    "stratavore_transcript_rows_total", "Rows of transcripts that this daemon read", ["agent", "known"]
)
REPLIES = Counter("stratavore_replies_total", "Rows with a reply's usage that this daemon read", ["agent"])
TRANSCRIPT_REFUSED = Counter(
    "stratavore_transcript_refused_total", "Rows of transcripts that Postgres refused; kept as written only", ["agent"]
)
UNMETERED_TURNS = Counter(
    "stratavore_unmetered_turns_total", "Turns that ended and of which nothing says what they used", ["agent"]
)
RECONCILE_FINDINGS = Counter(
    "stratavore_reconcile_findings", "Differences that scheduled upkeep found at this daemon", ["kind", "outcome"]
)
_RECONCILED = Gauge(
    "stratavore_reconcile_last_run_timestamp_seconds",
    "When this daemon last did scheduled upkeep of a part, in Unix time; before that, when it started",
    ["part"],
)
_SERVER = Gauge(
    "stratavore_server_up", "Whether this daemon got an answer of the server when it last asked; 1 or 0", ["server"]
)
_DISK_FREE = Gauge("stratavore_disk_free_bytes", "Room left on the disk of this daemon's state directory")
_DISK_SIZE = Gauge("stratavore_disk_size_bytes", "Size of the disk of this daemon's state directory")
_DAEMON = Gauge("stratavore_daemon_info", "The daemon that is scraped; always 1", ["host", "version"])


def describe_daemon(host: str, version: str) -> None:
    """Show which daemon this is."""
    _DAEMON.labels(host, version).set(1)


def show_server(name: str, *, up: bool) -> None:
    """Show whether a server answered just now."""
    _SERVER.labels(name).set(up)


def show_upkeep(part: str) -> None:
    """Show that upkeep of a part was done now, or is awaited from now on."""
    _RECONCILED.labels(part).set_to_current_time()


def watch_disk(directory: Path) -> None:
    """Show the room on the disk that holds a directory, as it is at each scrape."""
    _DISK_FREE.set_function(lambda: shutil.disk_usage(directory).free)
    _DISK_SIZE.set_function(lambda: shutil.disk_usage(directory).total)


def serve(port: int, address: str = "127.0.0.1") -> WSGIServer:
    """Serve ``/metrics`` at this address, on this port if it is free, else on any.

    Returns:
        The server: ``server_port`` is its port, ``shutdown()`` and ``server_close()`` end it.

    Raises:
        InvalidInput: the address is none of this machine.
    """
    try:
        server, _ = start_http_server(port, addr=address)
    except OSError:
        try:
            server, _ = start_http_server(0, addr=address)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            reason = f"The metrics cannot be served at metrics.address, {address}: {why}"
            raise InvalidInput(reason=reason) from None
    return server


def metrics_url(server: WSGIServer) -> str:
    """Where it can be asked from this machine."""
    address = ip_address(str(server.server_address[0]))
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}:{server.server_port}/metrics"


_SECRETS = (
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:***@"),
    # Also at the end of a longer name: ANTHROPIC_API_KEY, event_signing_key.
    (re.compile(r"(?i)(password|passwd|secret|token|(?:api|access|signing|private)[_-]?key|authorization)"
                r"(['\"]?\s*[=:]\s*)(?:(?:bearer|basic)\s+)?"
                r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)}]+)"), r"\1\2***"),
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+-]+")


class LineFormatter(logging.Formatter):
    """A record as one line of ``name=value`` pairs (logfmt). Passwords and tokens that slipped in are blotted out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time_ = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs = {
            "time": time_.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": blot(record.getMessage()),
        }
        if record.exc_info:
            pairs["exception"] = blot(self.formatException(record.exc_info))
        return " ".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def blot(text: str) -> str:
    """The text without passwords in addresses, and without values that are named as secrets."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure_logging(stream: TextIO, level: int | str = logging.INFO) -> None:
    """Log to this stream, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("aio_pika", "aiormq"):  # what matters of a lost connection is said by who lost it
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # whether it migrated is said by the daemon


def _quoted(value: str) -> str:
    """A value with spaces or more is a JSON string, in which nothing is left that a terminal obeys."""
    if _PLAIN.fullmatch(value):
        return value
    letters = (one if one.isprintable() and one not in '"\\' else json.dumps(one)[1:-1] for one in value)
    return f'"{"".join(letters)}"'
