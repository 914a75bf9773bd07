"""What ``make up`` starts, by what the real Claude Code says of itself."""

from pathlib import Path

from setup import agent
from tests.claude_code.program import PrivateHome

NOWHERE = "http://127.0.0.1:9"


def choose(home: Path, **others: str) -> agent.First:
    user = PrivateHome(home)
    user.create()
    given = {name: value for name, value in user.environment(NOWHERE).items() if name != "ANTHROPIC_API_KEY"}
    return agent.choose(given | others)


def test_claude_code_where_somebody_is_logged_in(tmp_path: Path) -> None:
    first = choose(tmp_path, ANTHROPIC_API_KEY="a-key-that-nobody-asks-for")
    assert (first.agent, first.words) == ("claude", ("--agent", "claude"))


def test_the_sample_program_where_nobody_is_and_how_to_log_in(tmp_path: Path) -> None:
    first = choose(tmp_path)
    assert first.agent == "command"
    assert "not logged in: run 'claude auth login'" in first.said
    assert (
        first.said_of("claude")
        == "For Claude Code make a project in your own directory: stratavore new NAME --agent claude"
    )


def test_the_sample_program_where_it_is_not_installed(tmp_path: Path) -> None:
    assert "not installed" in choose(tmp_path, PATH="/nowhere").said
