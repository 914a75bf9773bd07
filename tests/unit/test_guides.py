"""What the guides say to type can be typed, and where they point to is something."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer import Exit, TyperException

from cli.main import COMMANDS, command
from stratavore.runtime import tmux_version
from tests.support.servers import REPOSITORY
from worker import daemon

GUIDES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.md", "temporal-compose/*.md")
    for path in REPOSITORY.glob(pattern)
)
PROJECTS = {"PROJECT", "hello", "my-project", "notes", "project-a", "project-b", "site"}
"""Projects of the guides. Any other word that is no command is one that was mistyped, or that is no more."""

_FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_HINT = re.compile(r"(?:with|see|journal): (stratavore [^.;,|`]+)")
_BEFORE = re.compile(
    r"^(?:\$ |sudo |\(umask \d+; |docker compose (?:exec|run) (?:-\w+ |--volume \S+ |--[a-z-]+ )*stratavore |"
    r"[A-Z_]+=\S+ |\.venv/bin/|.*&& (?=stratavore))*"
)
_PROGRAM = re.compile(r"stratavored?(?=\s|$)")
_USAGE = re.compile(r"\[OPTIONS\]|COMMAND$|COMMAND \||…")
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?!https?:)([^)\s]+)\)")
_TARGET = re.compile(r"^([a-z-]+):.*##|^([a-z-]+):", re.MULTILINE)


def typed(text: str) -> Iterator[tuple[str, bool]]:
    """The command lines of a guide, and whether each is whole: one that is only mentioned may lack its arguments."""
    for block in _FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.split(r"\s{2,}(?=\w)", _BEFORE.sub("", line.strip()))[0], True
    prose = _FENCED.sub("", text)
    for mentioned in (*_INLINE.findall(prose), *_HINT.findall(prose)):
        yield _BEFORE.sub("", mentioned.strip()), False


def words_of(line: str) -> list[str]:
    """The words of the first program in a line of a shell, without comments and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if word[0] in "|>;&<":
            break
        words.append(word)
    return words


def understand(line: str, *, whole: bool) -> None:
    """Parse a command line as the programs do, and do nothing.

    Raises:
        TyperException: an unknown command, option or project, or, of a whole line, an argument that is missing.
    """
    program, *words = words_of(line)
    if program == "stratavored":
        daemon._parser().parse_args(words)
        return
    context: Any = None
    found, name = command(), program
    with suppress(Exit):  # --help and --version end there
        while True:
            try:
                context = found.make_context(name, list(words), parent=context)
            except TyperException as error:
                if whole or type(error).__name__ != "MissingParameter":
                    raise
                return
            if not hasattr(found, "table"):
                return
            words = [*context._protected_args, *context.args]
            if not words:
                return
            if context.parent is None and words[0] not in COMMANDS and words[0] not in PROJECTS:
                raise TyperException(f"There is neither a command nor a project '{words[0]}'")
            name, found, words = found.resolve_command(context, words)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_line_is_understood(guide: str) -> None:
    for line, whole in typed((REPOSITORY / guide).read_text()):
        if not _PROGRAM.match(line) or _USAGE.search(line):
            continue
        try:
            understand(line, whole=whole)
        except (TyperException, SystemExit) as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "stratavore daemon logs",
        "stratavore helth",
        "stratavore status --wtch",
        "stratavored --check",
        "stratavore attach",
        "(umask 077; docker compose exec -T stratavore stratavore backup --al - > new.tar)",
        'docker compose run --rm --no-deps --volume "$PWD/a.tar:/tmp/a.tar:ro" stratavore stratavore restor /tmp/a.tar',
    ],
)
def test_a_line_that_is_wrong_is_seen(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((TyperException, SystemExit)):
        understand(_BEFORE.sub("", line), whole=True)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_target_of_make_is_one(guide: str) -> None:
    targets = {either for one in _TARGET.findall((REPOSITORY / "Makefile").read_text()) for either in one}
    lines = [line for line, _ in typed((REPOSITORY / guide).read_text()) if line.startswith("make ")]
    assert {word for line in lines for word in words_of(line)[1:] if "=" not in word} <= targets


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_leads_somewhere(guide: str) -> None:
    here = REPOSITORY / guide
    for link in _LINK.findall(_FENCED.sub("", here.read_text())):
        path, _, anchor = link.partition("#")
        there = (here.parent / path).resolve() if path else here
        assert there.exists(), f"{guide}: {link}"
        assert not anchor or anchor in anchors(there), f"{guide}: {link}"


@pytest.mark.parametrize(
    ("guide", "heading"),
    [
        ("docs/faq.md", "### What about high availability?"),
        ("docs/deployment.md", "## High availability"),
        ("docs/deployment.md", "## Several machines"),
    ],
)
def test_where_a_lost_host_is_spoken_of_both_ways_are_named(guide: str, heading: str) -> None:
    section = (REPOSITORY / guide).read_text().split(f"\n{heading}\n")[1].split("\n#")[0]
    assert "`--failover auto`" in section
    assert "operations.md#losing-a-host)" in section
    assert re.search(r"\bwait\b", section)


def test_what_is_needed_of_tmux_is_what_is_looked_for() -> None:
    assert f"| {tmux_version.WANTED} |" in (REPOSITORY / "README.md").read_text()


def anchors(guide: Path) -> set[str]:
    """What a link can name in a guide: its headings, as GitHub and most others call them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", guide.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
