"""What the daemon answers is what ``docs/private-api.md`` lists."""

import inspect
import re

from stratavore.control import Control
from tests.support.servers import REPOSITORY

OF_THE_DAEMON = {"daemon_status", "stop_daemon"}


def documented() -> dict[str, set[str]]:
    """Each method with the names of its parameters."""
    rows = [
        line.split("|")[1:3]
        for line in (REPOSITORY / "docs" / "private-api.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    return {method.strip(" `"): _parameters(params) for method, params in rows}


def _parameters(params: str) -> set[str]:
    """The names in ``a, b=[uuid, …], c="x" / "y"``."""
    code = " ".join(re.findall(r"`([^`]*)`", params))
    words = re.sub(r'\[.*?\]|"[^"]*"', "", code).split(",")
    return {name for word in words if (name := word.partition("=")[0].strip())}


def test_every_method_is_documented_with_its_parameters() -> None:
    found = documented()
    methods = [(name, one) for name, one in inspect.getmembers(Control, inspect.isfunction) if name[0] != "_"]
    for name, method in methods:
        assert found[name] == set(inspect.signature(method).parameters) - {"self"}, name
    assert found.keys() == {name for name, _ in methods} | OF_THE_DAEMON | {"subscribe"}
