"""What Claude Code writes when it answers without a terminal: lines of JSON, the last of them the result."""

import json
from typing import Any

from stratavore.agents.output import Output


def read_output(line: bytes) -> Output:
    """Understand one line; a line that is cut off or of another kind says nothing."""
    try:
        row = json.loads(line)
    except ValueError:
        return Output()
    if not isinstance(row, dict):
        return Output()
    match row.get("type"):
        case "assistant" if not row.get("parent_tool_use_id"):  # subagents speak to the agent, not to the person
            return Output(text="\n".join(_texts(row)))
        case "result":
            fault = (
                str(row.get("result") or "; ".join(map(str, row.get("errors") or ()))) if row.get("is_error") else ""
            )
            return Output(result=row, fault=fault)
    return Output()


def _texts(row: dict[str, Any]) -> list[str]:
    message = row.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content if isinstance(content, list) else []
    return [str(block["text"]) for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
