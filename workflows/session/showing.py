"""What of a session Temporal's Web UI and its searches show."""

from temporalio import workflow

from stratavore.models.states import SessionState
from stratavore.naming import short
from stratavore.search_attributes import HOST, STATE
from workflows.session.waiting import Waiting


class Showing(Waiting):
    """Its state, and what one reads below it."""

    def _show(self, state: SessionState, reason: str | None) -> None:
        """Change the state that the Web UI and searches show."""
        changed = state is not self._state or (self._live is not None and state is SessionState.RUNNING)
        self._state, self._reason = state, reason
        if changed:
            updates = [STATE.value_set(str(state))]
            if self._live:
                updates.append(HOST.value_set(self._live.host))
            workflow.upsert_search_attributes(updates)
        self._describe()

    def _describe(self) -> None:
        spec = self._start.spec
        lines = [
            f"**{self._state}**" + (f": {self._reason}" if self._reason else ""),
            "",
            f"- project `{self._start.project}`, agent `{spec.agent}`, in `{spec.cwd}`",
            # Also in the static summary, which is lost when the run continues as new.
            f"- runs `{' '.join(spec.argv) or spec.agent}`",
        ]
        if self._live:
            lines.append(f"- runner {self._live.generation} on host `{self._live.host}`")
        if self._crashes:
            lines.append(f"- {self._crashes} crashes in a row")
        lines.append(f"- attach: `stratavore attach {short(self._start.session_id)}`")
        workflow.set_current_details("\n".join(lines))
