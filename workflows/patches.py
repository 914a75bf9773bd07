"""Ids of patches (``workflow.patched``), one constant each, with what changed.

Sessions are open for months, so a change of the commands that the workflow gives (activities, timers, their order)
must leave those that have gone past it as they are: ``if workflow.patched(patches.WHAT): ... else: <as before>``.
A run that has passed the place without the patch goes without it to its end, a later one with it. The histories that
were recorded before stay beside new ones, and ``tests/replay`` replays both. When no run from before is left,
``workflow.deprecate_patch`` takes the place of the question, and the version after that drops it.

Temporal's worker versioning would keep the old code running beside the new one instead, a daemon for each, for months.

The constant :data:`ALL` lists them for the test that every one is covered by a stored history.
"""

REFUSED_AFTER_ARRIVAL = "refused-after-arrival"
"""A session that moved goes back, too, if the other host cannot start it after all, once its wrapper has begun."""

KILLS_DO_NOT_PARK = "kills-do-not-park"
"""An agent that SIGKILL ends soon, again and again, is launched again as well, after the longest wait."""

TOLD_UNTIL_TAKEN = "told-until-taken"
"""What a runner died with is told to the next one until that has taken it, and not tried once."""

PROMPT_IS_HANDED_ON = "prompt-is-handed-on"
"""A prompt that waits for its agent goes to the next run, between two tries; it held that back until it was taken."""

MOVED_WHILE_IT_BEGAN = "moved-while-it-began"
"""A move that is asked while the runner still begins takes the next one to the other host; it stayed where it was."""

ALL: tuple[str, ...] = (
    REFUSED_AFTER_ARRIVAL,
    KILLS_DO_NOT_PARK,
    TOLD_UNTIL_TAKEN,
    PROMPT_IS_HANDED_ON,
    MOVED_WHILE_IT_BEGAN,
)
