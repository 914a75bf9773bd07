"""Questions that Claude Code asks with a tool of their own, and answering those on its screen."""

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from stratavore.agents.adapter import Answer, Option, Question
from stratavore.agents.claude.hooks import Hook

_FREE = "type something"
"""The option that takes any text."""


class _Option(BaseModel):
    label: str


class _Question(BaseModel):
    question: str
    options: tuple[_Option, ...] = ()


class _Asked(BaseModel):
    questions: tuple[_Question, ...]


def asked_by(hook: Hook) -> str | None:
    """The question that a tool asks, if it is one that asks."""
    match hook.text("tool_name"):
        case "ExitPlanMode":
            return "Is this plan right?"
        case "AskUserQuestion":
            try:
                asked = _Asked.model_validate(hook.given.get("tool_input"))
            except ValidationError:
                return "It asks something; look at its terminal"
            return "\n".join(
                f"{one.question} ({', '.join(option.label for option in one.options)})" if one.options else one.question
                for one in asked.questions
            )
        case _:
            return None


def answer_to(question: Question, answer: str) -> Answer | None:
    """How an answer is given: by an option's number, its label, or a beginning of it that no other label has.

    Any other text goes to the option that takes one. None: there is no such option.
    """
    wanted = answer.strip().casefold()
    exact = [one for one in question.options if wanted in (one.key, one.label.casefold()) and wanted]
    begun = [one for one in question.options if wanted and one.label.casefold().startswith(wanted)]
    for found in (exact, begun):
        if len(found) == 1:
            return Answer(_keys(question, found[0]))
    free = next((one for one in question.options if one.label.casefold().startswith(_FREE)), None)
    return Answer(_keys(question, free), answer) if free and wanted else None


def _keys(question: Question, option: Option) -> Sequence[str]:
    if option.key:
        return (option.key,)
    here = next((n for n, one in enumerate(question.options) if one.chosen), 0)
    steps = question.options.index(option) - here
    return (*(["Down"] * steps if steps > 0 else ["Up"] * -steps), "Enter")
