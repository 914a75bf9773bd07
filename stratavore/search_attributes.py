"""Search attributes of session workflows. They change with the session's state only: each change is a history event."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from stratavore.models.session import SessionInput

PROJECT = SearchAttributeKey.for_keyword("Project")
STATE = SearchAttributeKey.for_keyword("State")
AGENT = SearchAttributeKey.for_keyword("Agent")
HOST = SearchAttributeKey.for_keyword("Host")


def of_start(start: SessionInput, host: str) -> TypedSearchAttributes:
    """Those that a session's workflow is started with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(PROJECT, start.project),
            SearchAttributePair(STATE, str(start.carried.state)),
            SearchAttributePair(AGENT, start.spec.agent),
            SearchAttributePair(HOST, host),
        ]
    )


def summary_of_start(start: SessionInput) -> str:
    """What the Web UI shows beside it."""
    return f"{start.project}: {' '.join(start.spec.argv) or start.spec.agent}"[:200]
