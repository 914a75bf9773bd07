"""Settings: environment variables ``STRATAVORE_…`` (nested by ``__``) over defaults."""

import socket
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from stratavore.errors import InvalidInput

HOST_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Port = Annotated[int, Field(ge=0, le=65535)]


class TemporalSettings(BaseModel):
    """The Temporal server: an address, or none for the embedded development server."""

    address: str | None = None
    namespace: str = "stratavore"
    binary: str | None = None
    """Path of the ``temporal`` program for the embedded server; ``stratavore/embedded/temporal.py`` has the search."""
    port: Port = 7233
    ui_port: Port = 8233


class PostgresSettings(BaseModel):
    """Postgres with pgvector: a DSN, or none for the embedded server."""

    dsn: SecretStr | None = None
    port: Port = 5432
    database: str = "stratavore_state"


class RabbitmqSettings(BaseModel):
    """RabbitMQ: an AMQP URL, or none for the embedded server."""

    url: SecretStr | None = None
    port: Port = 5672
    management_port: Port = 15672
    enabled: bool = True
    """False: start none; events wait in the outbox."""


class MetricsSettings(BaseModel):
    """Where Prometheus scrapes this daemon."""

    port: Port = 9091


class Settings(BaseSettings):
    """Everything a daemon can be told. Ports are the usual ones if free, else others (``daemon status`` shows them)."""

    model_config = SettingsConfigDict(env_prefix="STRATAVORE_", env_nested_delimiter="__", frozen=True)

    host: Annotated[str, Field(pattern=HOST_PATTERN)] = Field(
        default_factory=lambda: socket.gethostname().split(".")[0]
    )
    temporal: TemporalSettings = TemporalSettings()
    postgres: PostgresSettings = PostgresSettings()
    rabbitmq: RabbitmqSettings = RabbitmqSettings()
    metrics: MetricsSettings = MetricsSettings()
    host_lease_seconds: float = 30.0
    monitor_interval_seconds: float = 1.0


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        InvalidInput: names the variable that is wrong, and never shows its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "STRATAVORE_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidInput(reason=f"The setting {name} is wrong: {first['msg']}") from None
    except SettingsError as error:
        raise InvalidInput(reason=f"The settings cannot be read: {error}") from None
