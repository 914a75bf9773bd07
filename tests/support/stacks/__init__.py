"""The servers of a run, as ``pytest --servers`` chooses them: a module for each choice."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.stacks.stack import Stack

CHOICES = ("embedded", "containers", "external")
IMAGES = {
    "temporal": "temporalio/temporal:1.5.1",
    "postgres": "pgvector/pgvector:0.8.1-pg17",
    "rabbitmq": "rabbitmq:3.13.7-management",
}
"""What ``containers`` starts unless told otherwise. Temporal's is its command line with the development server."""

__all__ = ["CHOICES", "IMAGES", "Stack", "add_options", "started"]


def add_options(parser: pytest.Parser) -> None:
    """The options of pytest that choose the servers."""
    parser.addoption(
        "--servers",
        default="embedded",
        choices=CHOICES,
        help="which Temporal, Postgres and RabbitMQ the tests run on; see docs/contributing.md",
    )
    for server, image in IMAGES.items():
        parser.addoption(
            f"--{server}-image", default=image, metavar="IMAGE", help=f"with --servers containers; by default {image}"
        )


def started(config: pytest.Config, homes: Path) -> AbstractContextManager[Stack]:
    """Servers for as long as the block lasts; what they leave in ``homes`` the guardian cleans up."""
    # Imported late: what the other choices need may not be installed.
    match config.getoption("--servers"):
        case "containers":
            from tests.support.stacks import containers

            return containers.started(homes, {server: config.getoption(f"--{server}-image") for server in IMAGES})
        case "external":
            from tests.support.stacks import external

            return external.started(homes)
        case _:
            from tests.support.stacks import embedded

            return embedded.started(homes)
