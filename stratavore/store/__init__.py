"""Postgres: a module and a file of named queries for each aggregate."""
