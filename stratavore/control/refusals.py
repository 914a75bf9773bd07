"""Why a session does not take a command, with the way out."""

from collections.abc import Sequence

from stratavore import naming
from stratavore.errors import AlreadySo, NoLiveSession, Unreachable, WrongState
from stratavore.models.states import SessionState
from stratavore.models.views import SessionView

_DONE = {"pause": "paused", "resume": "resumed", "terminate": "ended", "restart": "restarted", "move": "moved"}
_WISHED = {"pause": SessionState.PAUSED, "resume": SessionState.RUNNING, "terminate": SessionState.ENDED}


def wrong_state(target: str, found: Sequence[SessionView], action: str) -> Exception:
    """The error of a command that none of the sessions takes, in which the last one of them is named."""
    if not found:
        return NoLiveSession(target=target)
    session = found[-1]
    short = naming.short(session.session_id)
    if session.state is SessionState.UNREACHABLE:
        return Unreachable(session=short, action=_DONE.get(action, action), reason=session.reason, host=session.host)
    hints = {
        SessionState.PAUSED: f"Run it again with: stratavore resume {short}",
        SessionState.PARKED: f"It crashed too often; try again with: stratavore resume {short}",
        SessionState.ENDED: f"Take it up again with: stratavore resume {short}",
        SessionState.STARTING: f"It is about to run; look with: stratavore sessions show {short}",
        SessionState.RECOVERING: f"It goes on by itself; see when, with: stratavore sessions show {short}",
        SessionState.QUEUED: "It waits for a slot; see: stratavore quotas show",
        SessionState.LIMITED: f"It goes on by itself when the limit lets it; past it: stratavore resume {short} --god",
        SessionState.ASKING: f"Let it go on with: stratavore approve {short}; or put it away: stratavore deny {short}",
        SessionState.RUNNING: f"Attach to it with: stratavore attach {short}",
    }
    kind = AlreadySo if session.state is _WISHED.get(action) else WrongState
    return kind(
        session=short,
        state=session.state,
        action=_DONE.get(action, action),
        hint=hints[session.state],
    )
