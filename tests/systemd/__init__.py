"""The daemon as a service of a real systemd, in a machine of its own: ``make test-systemd``."""
