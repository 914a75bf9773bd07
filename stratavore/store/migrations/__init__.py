"""Migrations: a small Python file for Alembic beside each file of plain SQL."""
