"""What a terminal was sent, as plain text."""

import codecs
import re

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_RIGHT = re.compile(r"\x1b\[(\d{0,3})C")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Upwards, to a place, onto another screen: what was drawn so is no sequence of lines.
_DRAWN = re.compile(rb"\x1b\[[0-9;]*[AHf]|\x1b\[\?(?:1049|47)h")
_LONGEST_ESCAPE = 4096


class Plain:
    """Takes the escape sequences out of a stream, also those that are cut between two pieces."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, piece: bytes) -> str:
        """The plain text that is whole by now."""
        text = self._rest + self._decoder.decode(piece)
        text = _without_escapes(text).replace("\r\n", "\n")
        # What still holds an escape, or ends within a line's end, may go on in the next piece.
        begun = text.find("\x1b", max(0, len(text) - _LONGEST_ESCAPE))
        if begun < 0:
            begun = len(text) - 1 if text.endswith("\r") else len(text)
        self._rest = text[begun:]
        return _CONTROL.sub("", text[:begun].replace("\r", "\n"))


def plain(content: bytes) -> str:
    """All of it at once; a line that was written over with carriage returns is its last version."""
    text = _without_escapes(content.decode("utf-8", "replace")).replace("\r\n", "\n")
    lines = (_CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n"))
    return "\n".join(lines)


def _without_escapes(text: str) -> str:
    """Spaces for movements to the right, with which some programs write those; nothing for the rest."""
    return _ESCAPE.sub("", _RIGHT.sub(lambda found: " " * int(found[1] or 1), text))


def drawn(content: bytes) -> bool:
    """Whether a program drew a screen instead of writing lines."""
    return bool(_DRAWN.search(content))
