"""Lines of Claude Code's transcripts. The format is its own and changes: a strange line costs that line only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from stratavore.agents.claude.limits import reset_at, reset_told, told_of_limit
from stratavore.agents.claude.texts import clean
from stratavore.agents.conversation import Entry, Message, News, NewsKind, Reply, Row, Tokens

KINDS = frozenset(
    {
        *("user", "assistant", "system", "attachment", "progress", "summary", "queue-operation"),
        *("file-history-snapshot", "file-history-delta", "attribution-snapshot", "content-replacement"),
        *("mode", "permission-mode", "atis-latch", "last-prompt", "custom-title", "ai-title", "task-summary"),
        *("agent-name", "agent-color", "agent-setting", "tag", "pr-link", "worktree-state", "tools-used", "cost-state"),
        *("api-request", "api-request-shape", "api-request-blob"),
    }
)
"""Kinds of rows that were seen, or are known to be nothing of a conversation's words and costs."""

SYNTHETIC = "<synthetic>"
"""The model of what the program itself says in the place of one."""

_INTERRUPTED = "[Request interrupted by user"
_NOT_SAID = (
    "<command-",
    "<local-command-",
    "<bash-",
    "<system-reminder>",
    "<task-notification>",
    "Caveat: The messages",
)
"""How texts begin that the program writes in a person's name."""

_MOST_TOKENS = 10**12
_LONGEST_NAME = 200
_LONGEST_TOOL = 200
_TOOL_WORDS = ("command", "file_path", "path", "pattern", "query", "url", "description", "prompt", "skill")
_NOWHEN = datetime.fromtimestamp(0, UTC)

Given = Mapping[str, Any]


def read_row(line: bytes) -> Row:
    """What one line means. Never fails, whatever it holds."""
    given = _object(line)
    if given is None:
        return Row(known=False, kind="no JSON object")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        return Row(known=False, kind=clean(kind)[:_LONGEST_NAME] if isinstance(kind, str) else "without a type")
    if kind == "attachment":
        return _of_attachment(given)
    if kind not in ("user", "assistant"):
        return Row(kind=kind)
    message = given.get("message")
    if not isinstance(message, dict):
        return Row(known=False, kind=f"{kind} without a message")
    return _of_assistant(given, message) if kind == "assistant" else _of_user(given, message)


def read_entries(line: bytes) -> Sequence[Entry]:
    """What one line says to a reader, in its order; results of tools are left out."""
    given = _object(line)
    if given is None or not isinstance(message := given.get("message"), dict):
        return ()
    at = _time(given) or _NOWHEN
    if given.get("type") == "user":
        text = _said(given, message)
        return (Entry("user", text, at),) if text else ()
    if given.get("type") != "assistant":
        return ()
    return tuple(_entries(message.get("content"), at))


def _of_attachment(given: Given) -> Row:
    found = given.get("attachment")
    taken = found if isinstance(found, dict) and found.get("type") == "queued_command" else {}
    return Row(kind="attachment", taken=_text(taken.get("prompt")) or None)


def _of_user(given: Given, message: Given) -> Row:
    at, text = _time(given), _text(message.get("content"))
    if text.startswith(_INTERRUPTED):
        return Row(kind="user", news=News(NewsKind.INTERRUPTED, at or datetime.now(UTC), text))
    said = _message(given, "user", _said(given, message), at)
    return Row(kind="user", message=said, prompt_id=_name(given.get("promptId")))


def _of_assistant(given: Given, message: Given) -> Row:
    at, text = _time(given) or datetime.now(UTC), _text(message.get("content"))
    if given.get("isApiErrorMessage") is True or message.get("model") == SYNTHETIC:
        return Row(kind="assistant", news=_failure(given, at, text))
    said = _message(given, "assistant", text, at)
    tokens, id_ = _tokens(message.get("usage")), _reply_id(given, message)
    if tokens is None or id_ is None:
        return Row(known=False, kind="assistant without usage", message=said)
    model = message.get("model")
    model = clean(model) if isinstance(model, str) and 0 < len(model) <= _LONGEST_NAME else None
    return Row(kind="assistant", reply=Reply(id_, model, at, tokens, _terms(message["usage"])), message=said)


def _failure(given: Given, at: datetime, text: str) -> News | None:
    """A call to the provider that failed for good. The program says other things in its own name, too."""
    if given.get("isApiErrorMessage") is not True:
        return None
    limited = given.get("apiErrorStatus") in (429, 529) or told_of_limit(str(given.get("error")), text)
    if not limited:
        return News(NewsKind.FAILED, at, text)
    quota = given.get("quotaLimits")
    exact = reset_at(quota.get("resetsAt"), at) if isinstance(quota, dict) else None
    return News(NewsKind.LIMITED, at, text, exact or reset_told(text, at))


def _reply_id(given: Given, message: Given) -> str | None:
    """Ids of Anthropic's are unique by themselves; those of gateways may be so within a request only."""
    id_, request = _name(message.get("id")), _name(given.get("requestId"))
    if id_ and (id_.startswith("msg_") or not request):
        return id_
    return f"{id_}/{request}" if id_ else request or _name(given.get("uuid"))


def _tokens(usage: Any) -> Tokens | None:
    """None: it does not say what was used, or not so that it can be understood."""
    if not isinstance(usage, dict) or "input_tokens" not in usage or "output_tokens" not in usage:
        return None
    detail = usage.get("cache_creation")
    detail = detail if isinstance(detail, dict) else {}
    input_, output = _count(usage["input_tokens"]), _count(usage["output_tokens"])
    created, read = _count(usage.get("cache_creation_input_tokens")), _count(usage.get("cache_read_input_tokens"))
    short, long = _count(detail.get("ephemeral_5m_input_tokens")), _count(detail.get("ephemeral_1h_input_tokens"))
    if input_ is None or output is None or created is None or read is None or short is None or long is None:
        return None
    return Tokens(input_, output, max(created, short + long), read, long)


def _count(value: Any) -> int | None:
    if value is None:
        return 0
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _terms(usage: Given) -> tuple[tuple[str, str], ...]:
    if usage.get("speed") == "fast":
        return (("speed", "fast"),)
    return (("processing", "batch"),) if usage.get("service_tier") == "batch" else ()


def _message(given: Given, role: str, text: str, at: datetime | None) -> Message | None:
    id_ = _name(given.get("uuid"))
    return Message(id_, at or datetime.now(UTC), role, text) if id_ and text else None


def _said(given: Given, message: Given) -> str:
    """What somebody wrote to the agent; empty for what the program adds by itself."""
    if given.get("isMeta") is True or given.get("isCompactSummary") is True:
        return ""
    if given.get("rowSource") in ("harness", "local"):
        return ""
    text = _text(message.get("content"))
    return "" if text.startswith((_INTERRUPTED, *_NOT_SAID)) else text


def _text(content: Any) -> str:
    """The words of a message, without tools, their results and thoughts."""
    if isinstance(content, str):
        return clean(content).strip()
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return clean("\n\n".join(part for part in parts if isinstance(part, str))).strip()


def _entries(content: Any, at: datetime) -> Iterator[Entry]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and (text := _text([part])):
            yield Entry("assistant", text, at)
        elif part.get("type") in ("tool_use", "server_tool_use") and isinstance(name := part.get("name"), str):
            yield Entry("tool", " ".join(f"{clean(name)} {_tool_words(part.get('input'))}".split()), at)


def _tool_words(given: Any) -> str:
    """What a tool is asked for, in one line."""
    if not isinstance(given, dict):
        return ""
    words = next((value for key in _TOOL_WORDS if isinstance(value := given.get(key), str)), "")
    words = " ".join(clean(words).split())
    return words if len(words) <= _LONGEST_TOOL else words[: _LONGEST_TOOL - 1] + "…"


def _object(line: bytes) -> Given | None:
    """The object that the line is, also with what JSON forbids and people's tools write."""
    try:
        found = from_json(line, cache_strings="keys")
    except ValueError:
        try:
            found = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _time(given: Given) -> datetime | None:
    value = given.get("timestamp")
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if found is None or not 2000 <= found.year <= 2200:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _name(value: Any) -> str | None:
    """An id that fits into a key."""
    return clean(value) if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None
