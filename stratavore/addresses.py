"""Where servers are, as people are told: without users, passwords and options."""

import re
from urllib.parse import parse_qs, urlsplit

_NEXT_URL = re.compile(r"[,\s]+(?=[a-z][a-z0-9+]*://)")


def split_urls(text: str) -> list[str]:
    """The URLs in a text that may hold several, with commas or blanks between them."""
    return [url for url in _NEXT_URL.split(text.strip()) if url]


def shown(urls: str) -> str:
    """Hosts and ports of one or several URLs, or of an address that is none."""
    return ", ".join(map(_place, split_urls(urls))) or "no address"


def _place(url: str) -> str:
    if "://" not in url:
        return url.rpartition("@")[2]
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    # libpq's words may name the host instead, a socket's directory say.
    return place or ",".join(parse_qs(parts.query).get("host", ["a local socket"]))
