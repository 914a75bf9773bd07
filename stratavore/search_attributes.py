"""Search attributes of session workflows. They change with the session's state only: each change is a history event."""

from temporalio.common import SearchAttributeKey

PROJECT = SearchAttributeKey.for_keyword("Project")
STATE = SearchAttributeKey.for_keyword("State")
AGENT = SearchAttributeKey.for_keyword("Agent")
HOST = SearchAttributeKey.for_keyword("Host")
