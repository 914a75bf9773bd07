"""Having sessions put away over limits: their workflows are told by a signal."""

import logging
from time import monotonic
from uuid import UUID, uuid5

from temporalio.client import Client

from stratavore import naming
from stratavore.killpoints import effect
from stratavore.models.session import Hold, HoldSignal
from stratavore.signals import signal

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
"""When a workflow that was told is told again, with the same id: it may have been restored from a backup."""


class Holding:
    """Tells workflows, and remembers for a while which ones it told what."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[str, float] = {}
        """When workflows were told, by request."""

    def is_told(self, session_id: str, about: str) -> bool:
        """Whether the session's workflow was told of it just before."""
        now = monotonic()
        self._told = {request: at for request, at in self._told.items() if now - at < AGAIN_SECONDS}
        return _request(session_id, about) in self._told

    async def put_away(self, session_id: str, generation: int, hold: Hold, about: str) -> None:
        """Have this runner of a session put away; whatever it is ``about`` has one effect, however often it is told."""
        if self.is_told(session_id, about):
            return
        request_id = _request(session_id, about)
        message = HoldSignal(request_id=request_id, generation=generation, hold=hold)
        with effect("hold.signal"):
            told = await signal(self._client, session_id, "hold", message)
        if not told:
            return  # terminated by hand: reconcile finds its runner
        self._told[request_id] = monotonic()
        log.info("the session %s is put away: %s", naming.short(session_id), hold.reason)


def _request(session_id: str, about: str) -> str:
    return str(uuid5(UUID(session_id), about))
