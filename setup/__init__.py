"""Setting up a machine: what the targets of the ``Makefile`` do, a module for each step.

``environment`` runs before anything is installed; the others run in the environment that it makes.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one must be told, in words it understands
    sys.exit(
        "Error: Stratavore needs Python 3.11 or later, and this is {}.{}. "
        "Name another one, for example: make up PYTHON=python3.12".format(*sys.version_info)
    )
