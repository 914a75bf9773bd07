"""The real Claude Code for tests: a Messages API on the loopback, the program run against it, and a record of both."""
