"""The chaos harness: a seeded, replayable run of everything that can go wrong, and every promise checked from outside.

``python -m tests.chaos.harness``, or ``make chaos``; see docs/contributing.md.
"""
