"""The servers: what each needs before sessions can run, and whether each does what we need of it."""
