"""Not all at once: sessions that wait for the same moment go on one after the other."""

from datetime import timedelta
from zlib import crc32

SPREAD = timedelta(seconds=30)


def staggered(session_id: str, spread: timedelta = SPREAD) -> timedelta:
    """How much later than the moment a session goes on: always the same of one, any time below ``spread`` of many."""
    return spread * (crc32(session_id.encode()) / 2**32)
