"""What a daemon can be told: every setting with its type, its default and its meaning.

``stratavore/config/reading.py`` reads them; ``docs/configuration.md`` is written from them.
"""

import re
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
_BETWEEN_URLS = re.compile(r"[\s,]+")


def _whole_path(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError("takes a whole path, one that begins with / or ~")
    return path


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if not found or int(found["port"]) > 65535:
        raise ValueError("takes a host and a port, such as temporal.example:7233")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("takes a name of letters, digits, '.', '_' and '-', at most 63")
    return value


def _listen(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        raise ValueError("takes an IP address, such as 127.0.0.1, or 0.0.0.0 for all") from None
    return value


def _parts(url: str) -> SplitResult:
    """Of a URL; of what is none all are empty, since Python's own message would tell it."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _dsn(value: SecretStr) -> SecretStr:
    if _parts(value.get_secret_value()).scheme not in ("postgresql", "postgres"):
        raise ValueError("takes a URL such as postgresql://user:password@db.example:5432/stratavore_state")
    return value


def _joined(value: object) -> object:
    """A list of addresses as one text."""
    return ",".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value


def _amqp(value: SecretStr) -> SecretStr:
    parts = [_parts(one) for one in _urls(value)]
    if not all(part.scheme in ("amqp", "amqps") and part.hostname for part in parts):
        raise ValueError("takes a URL such as amqps://user:password@mq.example:5671/, or several with commas between")
    return value


def _urls(value: SecretStr) -> tuple[str, ...]:
    return tuple(_BETWEEN_URLS.split(value.get_secret_value().strip()))


def _http(value: str) -> str:
    part = _parts(value)
    if part.scheme not in ("http", "https") or not part.hostname or "@" in part.netloc:
        raise ValueError("takes a URL without user or password, such as http://mq.example:15672")
    return value


class Contradiction(ValueError):
    """Settings that do not go together."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key
        """The one to look at; it was set by somebody."""


Port = Annotated[int, Field(ge=0, le=65535)]
WholePath = Annotated[Path, AfterValidator(_whole_path)]
Address = Annotated[str, AfterValidator(_address)]
HttpUrl = Annotated[str, AfterValidator(_http)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Limit = Annotated[int, Field(ge=0)]

CaFile = Annotated[
    WholePath | None,
    Field(
        description="File (PEM) of the authorities that its certificate is checked with. Unset: the system's.",
        examples=["/etc/stratavore/ca.pem"],
    ),
]
KeyFile = Annotated[
    WholePath | None, Field(description="File (PEM) of the key of `cert`.", examples=["/etc/stratavore/client.key"])
]


class Section(BaseModel, frozen=True, extra="forbid"):
    """Settings that belong together."""


class TemporalSettings(Section):
    """The Temporal server. Without an address the daemon keeps a development server of its own."""

    address: Annotated[
        Address | None, Field(description="Host and port of a server of your own.", examples=["temporal.example:7233"])
    ] = None
    namespace: Annotated[str, Field(min_length=1, description="The namespace that all hosts share.")] = "stratavore"
    tls: Annotated[
        bool | None,
        Field(description="Speak TLS. Unset: yes if `ca`, `cert` or `api_key` is set.", examples=[True]),
    ] = None
    ca: CaFile = None
    cert: Annotated[
        WholePath | None,
        Field(
            description="File (PEM) of the client's certificate, for mutual TLS.",
            examples=["/etc/stratavore/client.pem"],
        ),
    ] = None
    key: KeyFile = None
    server_name: Annotated[
        str | None,
        Field(
            min_length=1,
            description="The name in the server's certificate, if it is not that of `address`.",
            examples=["temporal.internal"],
        ),
    ] = None
    api_key: Annotated[
        SecretStr | None, Field(description="API key, as Temporal Cloud gives them.", examples=["the-key"])
    ] = None
    ui_address: Annotated[
        HttpUrl | None,
        Field(
            description="URL of its Web UI; it is only shown to people.",
            examples=["https://temporal.example:8080"],
        ),
    ] = None
    binary: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Path of the program `temporal` for the embedded server. Unset: it is looked for.",
            examples=["/usr/local/bin/temporal"],
        ),
    ] = None
    port: Annotated[Port, Field(description="Port of the embedded server.")] = 7233
    ui_port: Annotated[Port, Field(description="Port of the embedded server's Web UI.")] = 8233

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls if self.tls is not None else bool(self.ca or self.cert or self.api_key)


class PostgresSettings(Section):
    """Postgres with pgvector. Without a DSN the daemon keeps a server of its own."""

    dsn: Annotated[
        SecretStr | None,
        AfterValidator(lambda value: value and _dsn(value)),
        Field(
            description="URL of a database of your own. TLS by libpq's words in it: `sslmode`, `sslrootcert`, "
            "`sslcert`, `sslkey`.",
            examples=["postgresql://stratavore:password@db.example:5432/stratavore_state?sslmode=verify-full"],
        ),
    ] = None
    port: Annotated[Port, Field(description="Port of the embedded server.")] = 5432
    database: Annotated[str, Field(min_length=1, description="Name of the embedded server's database.")] = (
        "stratavore_state"
    )


class RabbitmqSettings(Section):
    """RabbitMQ, which events are sent to. Without a URL the daemon keeps a broker of its own."""

    url: Annotated[
        SecretStr | None,
        BeforeValidator(_joined),
        AfterValidator(lambda value: value and _amqp(value)),
        Field(
            description="URL of a broker of your own, with `amqps` for TLS; the nodes of a cluster with commas "
            "between, or as a list.",
            examples=["amqps://stratavore:password@mq.example:5671/"],
        ),
    ] = None
    ca: CaFile = None
    cert: Annotated[
        WholePath | None,
        Field(description="File (PEM) of the client's certificate.", examples=["/etc/stratavore/client.pem"]),
    ] = None
    key: KeyFile = None
    management_url: Annotated[
        HttpUrl | None,
        Field(
            description="URL of its management pages; it is only shown to people.",
            examples=["http://mq.example:15672"],
        ),
    ] = None
    enabled: Annotated[
        bool, Field(description="False: start and use none; events wait in the outbox for a host that has one.")
    ] = True
    port: Annotated[Port, Field(description="Port of the embedded broker.")] = 5672
    management_port: Annotated[Port, Field(description="Port of the embedded broker's management.")] = 15672

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs with their passwords, one a node; none if the broker is embedded."""
        return _urls(self.url) if self.url else ()


class MetricsSettings(Section):
    """Where Prometheus scrapes this daemon."""

    address: Annotated[
        str, AfterValidator(_listen), Field(description="Address to listen on; other machines reach only others.")
    ] = "127.0.0.1"
    port: Annotated[Port, Field(description="Port to listen on.")] = 9091


class QuotaSettings(Section):
    """Limits over all projects, set when the daemon starts; see ``stratavore quotas``."""

    max_concurrent_runners: Annotated[
        Limit | None, Field(description="How many runners may run at once.", examples=[5])
    ] = None
    max_memory_mb: Annotated[
        Limit | None, Field(description="Memory that all runners may have together, in MiB.", examples=[2048])
    ] = None
    max_tokens_per_day: Annotated[
        Limit | None, Field(description="Tokens that may be used in a day.", examples=[100000])
    ] = None
    memory_action: Annotated[
        Literal["warn", "pause", "terminate"],
        Field(
            description="What is done when runners are measured to use more than a limit of memory lets (their "
            "session's, their project's or all together) for `memory_grace_seconds`: nothing, once it is told; or one "
            "runner after the other is put away, or ended, until what is left is below it."
        ),
    ] = "warn"
    memory_grace_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="Seconds above a limit of memory before that is done.")
    ] = 60.0


class ExportSettings(Section):
    """What was used, in a file for each day, for other programs; see ``stratavore tokens export``."""

    directory: Annotated[
        WholePath | None,
        Field(
            description="Where this host writes `tokens-<day>.<format>`, shortly after midnight in UTC. "
            "Unset: nowhere.",
            examples=["/var/lib/stratavore/exports"],
        ),
    ] = None
    format: Annotated[Literal["csv", "json"], Field(description="How they are written.")] = "csv"


class LogSettings(Section):
    """What the daemon writes to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least serious lines that are written.")
    ] = "info"


class Settings(Section):
    """Everything a daemon can be told. Ports are the usual ones if free, else others (``daemon status`` shows them)."""

    host: Annotated[
        str,
        AfterValidator(_host),
        Field(description="Name of this host, which no other daemon of the same Postgres has.", examples=["build-1"]),
    ] = Field(default_factory=lambda: socket.gethostname().split(".")[0])
    host_lease_seconds: Annotated[
        Seconds, Field(description="Seconds after which a host that is not heard of counts as unreachable.")
    ] = 30.0
    monitor_interval_seconds: Annotated[
        Seconds, Field(description="Seconds between two writes of what the runners do and use.")
    ] = 1.0
    reconcile_interval_seconds: Annotated[
        Seconds,
        Field(
            description="Seconds between two comparisons of all who know of sessions, each with its repairs. "
            "Between servers it is the one of the daemon that started last."
        ),
    ] = 300.0
    starts_at_once: Annotated[
        int | None,
        Field(
            ge=1,
            description="Agents with a heavy start, such as Claude Code (a second or two of a core, 300 MB), that may "
            "start at a time; of others eight times as many. Unset: as many as there are cores.",
            examples=[4],
        ),
    ] = None
    temporal: TemporalSettings = TemporalSettings()
    postgres: PostgresSettings = PostgresSettings()
    rabbitmq: RabbitmqSettings = RabbitmqSettings()
    metrics: MetricsSettings = MetricsSettings()
    quotas: QuotaSettings = QuotaSettings()
    export: ExportSettings = ExportSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for key, reason in _contradictions(self):
            raise Contradiction(key, reason)
        return self


def _contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """What does not go together: a key that is set, and why it is wrong."""
    temporal, rabbitmq = settings.temporal, settings.rabbitmq
    for name, one in (("temporal", temporal), ("rabbitmq", rabbitmq)):
        if bool(one.cert) != bool(one.key):
            there, missing = ("cert", "key") if one.cert else ("key", "cert")
            yield f"{name}.{there}", f"needs {name}.{missing} as well: a certificate is used with its key"
    if temporal.address is None:
        for part in ("tls", "ca", "cert", "key", "server_name", "api_key", "ui_address"):
            if getattr(temporal, part):
                yield f"temporal.{part}", "is for a server of your own, and temporal.address names none"
    if temporal.tls is False:
        for part in ("ca", "cert", "api_key"):
            if getattr(temporal, part):
                yield f"temporal.{part}", "needs TLS, and temporal.tls forbids it"
    if any(url.startswith("amqp:") for url in rabbitmq.urls) or not rabbitmq.urls:
        for part in ("ca", "cert", "key"):
            if getattr(rabbitmq, part):
                yield f"rabbitmq.{part}", "needs TLS: each address in rabbitmq.url has to begin with amqps://"
    if rabbitmq.management_url and not rabbitmq.urls:
        yield "rabbitmq.management_url", "is for a broker of your own, and rabbitmq.url names none"
