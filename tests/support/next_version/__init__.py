"""The version after this one: its workflow does a step more, behind a patch, and its database has a column more."""

SCHEMA = "9999"
