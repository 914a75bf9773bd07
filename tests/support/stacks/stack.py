"""Temporal, Postgres and RabbitMQ, wherever they come from."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stack:
    """Three servers that the run has for itself."""

    temporal_address: str
    postgres_dsn: str
    """As an administrator, who makes databases."""
    rabbitmq_url: Callable[[], str]
    """Waits for RabbitMQ, which starts slowly, and gives its AMQP URL."""
