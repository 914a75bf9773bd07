"""The private API: see docs/private-api.md."""
