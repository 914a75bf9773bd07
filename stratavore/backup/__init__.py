"""Saving all that sessions cannot do without in one file, and bringing it back.

``docs/architecture.md`` has the protocol: what is in a backup, of which moment it is, and what holds after a restore.
"""
