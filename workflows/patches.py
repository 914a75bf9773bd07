"""Ids of patches (``workflow.patched``), one constant each, with what changed. There is none yet.

The constant :data:`ALL` lists them for the test that every one is covered by a stored history.
"""

ALL: tuple[str, ...] = ()
