import json
from typing import Any

import pytest

from stratavore.agents.output import Output
from stratavore.agents.registry import adapter_for


def read(row: Any) -> Output:
    return adapter_for("claude").read_output(json.dumps(row).encode())


def said(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": list(blocks)}, "parent_tool_use_id": None, **more}


def test_the_agents_words_are_for_people_and_its_tools_are_not() -> None:
    tool = {"type": "tool_use", "name": "Bash", "input": {}}
    assert read(said({"type": "text", "text": "One."}, tool, {"type": "text", "text": "Two."})).text == "One.\nTwo."
    assert read(said(tool)) == Output()
    assert read(said({"type": "text", "text": "to the agent"}, parent_tool_use_id="toolu_1")) == Output()


def test_the_result_is_for_programs_with_its_fault() -> None:
    good = {"type": "result", "is_error": False, "result": "Two."}
    assert read(good) == Output(result=good)
    bad = {"type": "result", "is_error": True, "errors": ["No conversation found"]}
    assert read(bad) == Output(result=bad, fault="No conversation found")
    assert read({"type": "result", "is_error": True, "result": "API Error"}).fault == "API Error"


@pytest.mark.parametrize("row", [{"type": "system"}, {"type": "assistant"}, {"type": "assistant", "message": 3}, [], 1])
def test_other_lines_say_nothing(row: Any) -> None:
    assert read(row) == Output()
    assert adapter_for("claude").read_output(b'{"type": "assis') == Output()
    assert adapter_for("claude").read_output(b"") == Output()
