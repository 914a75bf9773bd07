"""Texts to agents, and what they answer."""

import asyncio
from time import monotonic

from stratavore import naming, targets
from stratavore.agents.registry import adapter_for
from stratavore.control.answering import ANSWER_SECONDS, answered
from stratavore.control.reach import Reach
from stratavore.control.refusals import wrong_state
from stratavore.errors import InvalidInput, Limited, NotTyped, ServerSilent, TookTooLong
from stratavore.launch_options import check_prompt
from stratavore.models.session import Hold, SendSignal
from stratavore.models.views import ReplyView, SessionView
from stratavore.store import accounts, replies, requests

SEND_SECONDS = 60.0
NOTED = "the text is noted, and typed as soon as it answers; do not send it again"


class Texts(Reach):
    """What is typed into an agent."""

    async def send(
        self,
        target: str,
        text: str,
        request_id: str,
        enter: bool = True,
        wait: bool = True,
        answer: bool = False,
        wants_reply: bool = False,
    ) -> dict[str, str]:
        """Type text into the agent of a session, and ``wait`` until it is typed or refused.

        Args:
            target: which session.
            text: what to type; with ``answer`` the answer to the question that the agent asks.
            request_id: a new UUID; repeated, the text is typed once all the same.
            enter: press Enter after it.
            wait: until it is typed. Without a daemon there is nobody to wait for.
            answer: it answers a question: by number, label or, where any text is taken, in words.
            wants_reply: refuse it if the agent is of a kind whose replies cannot be told.
        """
        check_prompt(text)
        session, hold = await answered(self._meant(target), server="Postgres", so="nothing was sent")
        if session.headless:
            raise InvalidInput(
                reason=f"The session {naming.short(session.session_id)} has no terminal: its agent answers what it was "
                "asked and ends, and cannot be sent text"
            )
        if not adapter_for(session.agent).hooks and (answer or wants_reply):
            raise InvalidInput(
                reason=f"The agent '{session.agent}' does not tell what it asks or replies; look with: "
                f"stratavore attach {naming.short(session.session_id)}"
            )
        if adapter_for(session.agent).hooks and not text.strip():
            raise InvalidInput(reason="There is no text to send: it holds blanks only")
        if not self._hears(session):
            raise wrong_state(target, [session], "sent text")
        if hold and not answer:
            raise Limited(session=naming.short(session.session_id), reason=hold.reason)
        signal = SendSignal(request_id=request_id, text=text, enter=enter, answer=answer)
        look = f"look there before you send it again, with: stratavore attach {naming.short(session.session_id)}"
        unknown = f"nobody knows whether the text was noted, to be typed as soon as it answers; {look}"
        # Its workflow keeps the text until it is typed or refused.
        await answered(self._ask(session, "send", signal), server="Temporal", so=unknown)
        if wait:
            await self._typed(session, request_id)
        return {"session_id": session.session_id}

    async def _meant(self, target: str) -> tuple[SessionView, Hold | None]:
        """The session that is meant, and what holds its account."""
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=True)
            return session, await accounts.holding(connection, session.session_id)

    async def _typed(self, session: SessionView, request_id: str) -> None:
        """Wait until a text that is noted has been typed, through failures of Postgres that are over soon."""
        deadline = monotonic() + SEND_SECONDS
        heard = monotonic()
        while monotonic() < deadline:
            left = max(heard + ANSWER_SECONDS - monotonic(), 0.1)
            try:
                outcome = await answered(self._outcome(request_id), server="Postgres", so=NOTED, seconds=left)
            except ServerSilent:
                if monotonic() >= heard + ANSWER_SECONDS:
                    raise
                await asyncio.sleep(0.2)
                continue
            heard = monotonic()
            if outcome and outcome.state == "refused":
                raise NotTyped(session=naming.short(session.session_id), reason=outcome.detail)
            if outcome and outcome.state == "done":
                return
            await asyncio.sleep(0.02)
        raise TookTooLong(session=naming.short(session.session_id), state=session.state, seconds=SEND_SECONDS)

    async def _outcome(self, request_id: str) -> requests.Outcome | None:
        async with self._database.pool.acquire() as connection:
            return await requests.outcome(connection, request_id)

    async def reply(self, session_id: str, request_id: str, timeout_s: float) -> ReplyView:
        """What the agent answered to a text that was sent, once it has; or how it stands at the timeout."""
        deadline, pause = monotonic() + timeout_s, 0.05
        while True:
            async with self._database.pool.acquire() as connection:
                found = await replies.look(connection, session_id, request_id)
            if found.state != "busy" or monotonic() >= deadline:
                return found
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(pause * 1.5, 0.25)
