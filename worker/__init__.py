"""The daemon of one host: ``daemon.py`` puts it together."""
