"""What people ask a session for: signals, each with the id of its request."""

from temporalio import workflow

from activities.records import RecordActivities
from stratavore.models.session import (
    GrantSignal,
    HoldSignal,
    MoveSignal,
    PauseSignal,
    RestartSignal,
    ResumeSignal,
    SendSignal,
    TerminateSignal,
    Wish,
)
from stratavore.models.steps import RefuseRequest
from workflows.session.moving import Moving
from workflows.session.texts import Texts


class Commands(Moving, Texts):
    """A signal is heard as soon as it comes; the loop acts on what it changed."""

    @workflow.signal
    def pause(self, signal: PauseSignal) -> None:
        """Put the session away."""
        if not self._is_new(signal.request_id):
            return
        self._resumed_at = None
        if self._wish is Wish.RUN:
            self._wish = Wish.PAUSE

    @workflow.signal
    def resume(self, signal: ResumeSignal) -> None:
        """Run a paused, parked or ended session again."""
        if not self._is_new(signal.request_id):
            return
        self._crashes = 0
        self._god = signal.god
        self._woken = self._woken or signal.god is not None  # one that waits in line is let past it
        if self._wish is Wish.PAUSE:
            self._wish = Wish.RUN
        # Postgres can show already that the session is parked or ended while this workflow has yet to hear of it.
        # A replay may see other lengths, but the same order: signals and ends of runners come with events of theirs.
        self._resumed_at = workflow.info().get_current_history_length()

    @workflow.signal
    def restart(self, signal: RestartSignal) -> None:
        """End a runner in favour of the next one, now or as soon as this workflow hears that it runs."""
        if self._is_new(signal.request_id):
            self._replaced = max(self._replaced, signal.generation)

    @workflow.signal
    def terminate(self, signal: TerminateSignal) -> None:
        """End the session. Only a later resume takes this back, once it has ended."""
        if self._is_new(signal.request_id):
            self._end()
            self._force = self._force or signal.force
            self._ended_by = self._ended_by or signal.god

    @workflow.signal
    async def send(self, signal: SendSignal) -> None:
        """Type text into the live runner's terminal; texts are typed one after the other, in the order they came."""
        if not self._is_new(signal.request_id):
            return
        if signal.answer:  # it may be what the texts before it wait for
            refusal = await self._type(signal)
        else:
            async with self._typing:
                refusal = await self._type(signal)
        if refusal:
            await self._refuse(signal.request_id, "send", refusal)

    @workflow.signal
    async def move(self, signal: MoveSignal) -> None:
        """End a runner in favour of the next one, on another host that says that it can have it."""
        if not self._is_new(signal.request_id):
            return
        if refusal := await self._refusal(signal):
            await self._refuse(signal.request_id, "move", refusal)
        elif signal.generation > self._replaced:
            self._destination = signal.host
            self._replaced = signal.generation

    @workflow.signal
    def hold(self, signal: HoldSignal) -> None:
        """Put the session away over a limit, if it is this runner that reached it. A person's wish comes first."""
        later = self._live is not None and self._live.generation > signal.generation
        if self._is_new(signal.request_id) and not later and self._wish is Wish.RUN:
            self._hold = signal.hold
            self._woken = True  # one that waits without a runner

    @workflow.signal
    def grant(self, _: GrantSignal) -> None:
        """A slot may be there, or a limit gone: look."""
        self._actions += 1
        self._woken = True

    async def _refuse(self, request_id: str, kind: str, reason: str) -> None:
        """Say why a request is not done."""
        request = RefuseRequest(request_id=request_id, session_id=self._start.session_id, kind=kind, reason=reason)
        await self._commit(RecordActivities.refuse, request, f"refuse: {kind}")
