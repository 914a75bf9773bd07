"""Comparing those who know of sessions: Temporal, Postgres, and a host with its processes, terminals and files.

``docs/architecture.md`` has the protocol: what can differ, what proves it, and what is done.
"""
