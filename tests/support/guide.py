"""What the guides say that one can type, so that tests do just that."""

import re
import shlex

from tests.support.servers import REPOSITORY

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(guide: str, language: str = "") -> list[str]:
    """The code of one language in ``docs/<guide>.md``, in its order."""
    text = (REPOSITORY / "docs" / f"{guide}.md").read_text()
    return [code for found, code in _BLOCK.findall(text) if found == language]


def command(guide: str, *beginning: str) -> list[str]:
    """The words after the beginning of the one command that begins so."""
    lines = [shlex.split(line) for block in blocks(guide) for line in block.splitlines()]
    (found,) = (words for words in lines if tuple(words[: len(beginning)]) == beginning)
    return found[len(beginning) :]
