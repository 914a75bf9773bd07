"""Texts to agents, and what they answer."""

import asyncio
from time import monotonic

from stratavore import naming, targets
from stratavore.agents.registry import adapter_for
from stratavore.control.reach import Reach
from stratavore.control.refusals import wrong_state
from stratavore.errors import InvalidInput, Limited, NotTyped, TookTooLong
from stratavore.launch_options import check_prompt
from stratavore.models.session import SendSignal
from stratavore.models.views import ReplyView
from stratavore.store import accounts, replies, requests

SEND_SECONDS = 60.0


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
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=True)
            hold = await accounts.holding(connection, session.session_id)
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
        if not await self._signal(session.session_id, "send", signal):
            await self._take_up(session, "send", signal)
        if not wait:
            return {"session_id": session.session_id}
        deadline = monotonic() + SEND_SECONDS
        while monotonic() < deadline:
            async with self._database.pool.acquire() as connection:
                outcome = await requests.outcome(connection, request_id)
            if outcome and outcome.state == "refused":
                raise NotTyped(session=naming.short(session.session_id), reason=outcome.detail)
            if outcome and outcome.state == "done":
                return {"session_id": session.session_id}
            await asyncio.sleep(0.02)
        raise TookTooLong(session=naming.short(session.session_id), state=session.state, seconds=SEND_SECONDS)

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
