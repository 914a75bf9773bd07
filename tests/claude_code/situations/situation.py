"""One situation: the answers of the API, and what a person does at the terminal."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.claude_code.messages import Tool, Usage
from tests.claude_code.messages_api import Given
from tests.claude_code.stage import Stage

NOTIFIED_SECONDS = 6.5
"""A question is notified of only when nobody has answered for so long."""
CONVERSATION = Usage(input=12, output=34, cache_creation=560, cache_read=7890)


@dataclass(frozen=True)
class Situation:
    """Made anew for each recording, since scripts have a state."""

    script: Given
    steps: Callable[[Stage], Awaitable[None]]
    trusted: bool = True
    subscribed: bool = False
    """The account is a subscription, which tells when its limit is reset."""


def make_file() -> Tool:
    """A use of a tool that needs a permission."""
    return Tool("Bash", {"command": "touch made.txt", "description": "Make the file"})
