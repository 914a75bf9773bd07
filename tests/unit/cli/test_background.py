import logging
from pathlib import Path

import pytest

from cli.background import Said, said_in
from stratavore.telemetry import LineFormatter


def logged(message: str) -> str:
    """A line of the daemon's log."""
    return LineFormatter().format(logging.LogRecord("stratavored", logging.INFO, "", 0, message, None, None))


@pytest.mark.parametrize("message", ["ready", "Temporal started (0.3 s)", 'it said "no"', "a \\ b", "message=x y", "ü"])
def test_the_message_of_a_line(message: str) -> None:
    assert said_in(logged(message)) == message


def test_a_line_that_is_none_of_the_log_is_shown_whole() -> None:
    assert said_in("Error: The message=x is wrong.") == "Error: The message=x is wrong."


def test_only_whole_and_new_lines_are_said(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("from the last time\n")
    said = Said(log, log.stat().st_size)
    with log.open("a") as file:
        file.write(f"{logged('begun')}\n\nError: hal")
    assert said.lines() == ["begun"]
    with log.open("a") as file:
        file.write("f of it\n")
    assert (said.lines(), said.lines(), said.last) == (["Error: half of it"], [], "Error: half of it")
