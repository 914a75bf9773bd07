"""The command line ``stratavore``: ``main.py``, and a module for each noun."""
