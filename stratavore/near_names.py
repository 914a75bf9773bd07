"""Names that were perhaps meant by one that nothing has. Cheap to import: every command pays for it."""

from collections.abc import Iterable


def near_names(name: str, names: Iterable[str]) -> str:
    """Names that were perhaps meant, ``'runners' or 'runs'``; empty if none is near."""
    from difflib import get_close_matches

    return " or ".join(f"'{one}'" for one in get_close_matches(name, list(names), n=2, cutoff=0.65))


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'runners'?)``, to be put behind a name in a sentence; empty if none is near."""
    near = near_names(name, names)
    return f" (did you mean {near}?)" if near else ""
