"""Ids of patches (``workflow.patched``), one constant each, with what changed. There is none yet.

Sessions are open for months, so a change of the commands that the workflow gives (activities, timers, their order)
must leave those that have gone past it as they are: ``if workflow.patched(patches.WHAT): ... else: <as before>``.
A run that has passed the place without the patch goes without it to its end, a later one with it. The histories that
were recorded before stay beside new ones, and ``tests/replay`` replays both. When no run from before is left,
``workflow.deprecate_patch`` takes the place of the question, and the version after that drops it.

Temporal's worker versioning would keep the old code running beside the new one instead, a daemon for each, for months.

The constant :data:`ALL` lists them for the test that every one is covered by a stored history.
"""

ALL: tuple[str, ...] = ()
