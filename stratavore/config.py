"""What a daemon can be told: every setting with its type, its default and its meaning.

``stratavore/config_reading.py`` reads them; ``docs/configuration.md`` is written from them.
"""

import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

HOST_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
_BETWEEN_URLS = re.compile(r"[\s,]+(?=amqps?://)")


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


def _dsn(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in ("postgresql", "postgres"):
        raise ValueError("takes a URL such as postgresql://user:password@db.example:5432/stratavore_state")
    return value


def _joined(value: object) -> object:
    """A list of addresses as one text."""
    return ",".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value


def _amqp(value: SecretStr) -> SecretStr:
    parts = [urlsplit(one) for one in _urls(value)]
    if not all(part.scheme in ("amqp", "amqps") and part.hostname for part in parts):
        raise ValueError("takes a URL such as amqps://user:password@mq.example:5671/, or several with commas between")
    return value


def _urls(value: SecretStr) -> tuple[str, ...]:
    return tuple(_BETWEEN_URLS.split(value.get_secret_value().strip()))


def _http(value: str) -> str:
    part = urlsplit(value)
    if part.scheme not in ("http", "https") or not part.hostname or "@" in part.netloc:
        raise ValueError("takes a URL without user or password, such as http://mq.example:15672")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
WholePath = Annotated[Path, AfterValidator(_whole_path)]
Address = Annotated[str, AfterValidator(_address)]
HttpUrl = Annotated[str, AfterValidator(_http)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Limit = Annotated[int, Field(ge=0)]


class Section(BaseModel, frozen=True, extra="forbid"):
    """Settings that belong together."""


class TemporalSettings(Section):
    """The Temporal server: an address, or none for the embedded development server."""

    address: Annotated[Address | None, Field(description="Host and port of a server of your own.")] = None
    namespace: Annotated[str, Field(min_length=1, description="The namespace that all hosts share.")] = "stratavore"
    tls: Annotated[
        bool | None,
        Field(description="Speak TLS. Unset: yes if `ca`, `cert` or `api_key` is set."),
    ] = None
    ca: Annotated[
        WholePath | None,
        Field(description="File (PEM) of the authorities that its certificate is checked with. Unset: the system's."),
    ] = None
    cert: Annotated[WholePath | None, Field(description="File (PEM) of the client's certificate, for mutual TLS.")] = (
        None
    )
    key: Annotated[WholePath | None, Field(description="File (PEM) of the key of `cert`.")] = None
    server_name: Annotated[
        str | None,
        Field(min_length=1, description="The name in the server's certificate, if it is not that of `address`."),
    ] = None
    api_key: Annotated[SecretStr | None, Field(description="API key, as Temporal Cloud gives them.")] = None
    ui_address: Annotated[
        HttpUrl | None, Field(description="URL of the Web UI of a server of your own; it is only shown to people.")
    ] = None
    binary: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Path of the program `temporal` for the embedded server. Unset: it is looked for.",
        ),
    ] = None
    port: Annotated[Port, Field(description="Port of the embedded server.")] = 7233
    ui_port: Annotated[Port, Field(description="Port of the embedded server's Web UI.")] = 8233

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls if self.tls is not None else bool(self.ca or self.cert or self.api_key)


class PostgresSettings(Section):
    """Postgres with pgvector: a DSN, or none for the embedded server."""

    dsn: Annotated[
        SecretStr | None,
        AfterValidator(lambda value: value and _dsn(value)),
        Field(
            description="URL of a database of your own. TLS by libpq's words in it: `sslmode`, `sslrootcert`, "
            "`sslcert`, `sslkey`."
        ),
    ] = None
    port: Annotated[Port, Field(description="Port of the embedded server.")] = 5432
    database: Annotated[str, Field(min_length=1, description="Name of the embedded server's database.")] = (
        "stratavore_state"
    )


class RabbitmqSettings(Section):
    """RabbitMQ: AMQP URLs, or none for the embedded server."""

    url: Annotated[
        SecretStr | None,
        BeforeValidator(_joined),
        AfterValidator(lambda value: value and _amqp(value)),
        Field(
            description="URL of a broker of your own, with `amqps` for TLS; the nodes of a cluster with commas "
            "between, or as a list."
        ),
    ] = None
    ca: Annotated[
        WholePath | None,
        Field(description="File (PEM) of the authorities that its certificate is checked with. Unset: the system's."),
    ] = None
    cert: Annotated[WholePath | None, Field(description="File (PEM) of the client's certificate.")] = None
    key: Annotated[WholePath | None, Field(description="File (PEM) of the key of `cert`.")] = None
    management_url: Annotated[
        HttpUrl | None, Field(description="URL of its management; asked with the user and password of `url`.")
    ] = None
    enabled: Annotated[
        bool, Field(description="False: start and use none; events wait in the outbox until there is one.")
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
        str, Field(pattern=r"^[0-9A-Za-z.:-]+$", description="Address to listen on; other machines reach only others.")
    ] = "127.0.0.1"
    port: Annotated[Port, Field(description="Port to listen on.")] = 9091


class QuotaSettings(Section):
    """Limits over all projects, for what ``stratavore quotas`` has set none."""

    max_concurrent_runners: Annotated[Limit | None, Field(description="How many runners may run at once.")] = None
    max_memory_mb: Annotated[Limit | None, Field(description="Memory that all runners may have together, in MiB.")] = (
        None
    )
    max_tokens_per_day: Annotated[Limit | None, Field(description="Tokens that may be used in a day.")] = None


class LogSettings(Section):
    """What the daemon writes to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least serious lines that are written.")
    ] = "info"


class Settings(BaseSettings):
    """Everything a daemon can be told. Ports are the usual ones if free, else others (``daemon status`` shows them)."""

    model_config = SettingsConfigDict(env_prefix="STRATAVORE_", env_nested_delimiter="__", frozen=True)

    host: Annotated[
        str,
        Field(pattern=HOST_PATTERN, description="Name of this host, which no other daemon of the same Postgres has."),
    ] = Field(default_factory=lambda: socket.gethostname().split(".")[0])
    host_lease_seconds: Annotated[
        Seconds, Field(description="Seconds after which a host that is not heard of counts as unreachable.")
    ] = 30.0
    monitor_interval_seconds: Annotated[
        Seconds, Field(description="Seconds between two writes of what the runners do and use.")
    ] = 1.0
    temporal: TemporalSettings = TemporalSettings()
    postgres: PostgresSettings = PostgresSettings()
    rabbitmq: RabbitmqSettings = RabbitmqSettings()
    metrics: MetricsSettings = MetricsSettings()
    quotas: QuotaSettings = QuotaSettings()
    log: LogSettings = LogSettings()
