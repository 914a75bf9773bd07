"""What the real program is brought into, so that what it does can be recorded.

A situation says itself what is true when (``Stage.truth``): the person's steps and the API's answers tell it, never a
look at what the program shows; only the end of a start and of an overload are seen from outside.
"""

from collections.abc import Callable

from tests.claude_code.situations import breaks, commands, limits, questions, turns
from tests.claude_code.situations.situation import Situation

SITUATIONS: dict[str, Callable[[], Situation]] = {
    made.__name__: made
    for made in (
        turns.start,
        turns.trust_dialog,
        turns.prompt,
        turns.long_turn,
        turns.auto_mode,
        turns.subagents,
        turns.background_task,
        questions.permission_granted,
        questions.permission_denied,
        questions.file_granted,
        questions.plan_approved,
        questions.question,
        breaks.escape_early,
        breaks.escape_late,
        breaks.killed,
        breaks.resumed,
        breaks.resumed_interrupted,
        commands.clear,
        commands.compact,
        commands.exit,
        limits.limit_with_reset,
        limits.limit_without_reset,
        limits.limit_retried,
        limits.overload,
    )
}
