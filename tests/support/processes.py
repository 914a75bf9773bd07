"""Processes of sessions, found as a sweep finds them: by the marker in their environment."""

from stratavore.runtime.processes import ProcessIdentity, Snapshot


def marked(*, session_id: str | None = None, runner_id: str | None = None) -> list[ProcessIdentity]:
    """Processes that carry the marker of the session or of the runner."""
    return [
        identity
        for runner, found in Snapshot().marked().items()
        if (runner_id is None or runner == runner_id)
        and (session_id is None or runner.rpartition(".")[0] == session_id)
        for identity in found
    ]
