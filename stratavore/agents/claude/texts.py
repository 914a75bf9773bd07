"""Texts of Claude Code's as the rest of the system can keep them."""


def clean(text: str) -> str:
    """The text without what Postgres takes in none: NUL, and halves of surrogate pairs."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text
