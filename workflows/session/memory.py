"""What the session's workflow knows: from its start, from the run before this one, from signals."""

import asyncio

from temporalio import workflow

from stratavore.models.session import SessionInput, Wish

REMEMBERED_REQUESTS = 64


class Memory:
    """All that one run hands to the next, and what it needs to give each request and each effect once."""

    def __init__(self, start: SessionInput) -> None:
        carried = start.carried
        self._start = start
        self._wish = carried.wish
        self._force = carried.force
        self._step = carried.step
        self._launches = carried.launches
        self._crashes = carried.crashes
        self._seen = list(carried.seen)
        self._live = carried.live
        self._admitted = carried.admitted
        self._state = carried.state
        self._reason = carried.reason
        self._stopped = carried.stopped
        self._replaced = carried.replaced
        self._god = carried.god or (None if carried.step else start.god)
        self._ended_by = carried.ended_by
        self._destination = carried.destination
        self._left = carried.left
        self._hold = carried.hold
        self._resumed_at: int | None = None  # the latest resume that nothing took back: length of the history then
        self._actions = 0  # of this run: activities, steps, signals
        self._woken = False
        self._typing = asyncio.Lock()
        self._prompted = carried.prompted or start.spec.prompt is None or start.spec.headless
        self._prompting: asyncio.Task[None] | None = None
        self._unheard = carried.unheard
        self._telling_again: asyncio.Task[None] | None = None
        self._sends = 0  # under way

    def _end(self) -> None:
        """Wish for the end, whatever was asked for before."""
        self._wish = Wish.TERMINATE
        self._resumed_at = None

    def _next_step(self, name: str) -> str:
        """The key of the next keyed effect; the same when the history is replayed."""
        self._step += 1
        return f"{workflow.info().first_execution_run_id}/{self._step}/{name}"

    def _is_new(self, request_id: str) -> bool:
        """Whether a request was not seen before."""
        self._actions += 1
        if request_id in self._seen:
            return False
        self._seen = [*self._seen[1 - REMEMBERED_REQUESTS :], request_id]
        return True
