"""Workflows: messages and decisions, nothing else."""
