"""The virtual environment with the locked dependencies: ``python3 -m setup.environment run`` or ``dev``.

Runs before anything is installed: the standard library only.
"""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from setup import packages
from setup.progress import report, run

REPOSITORY = Path(__file__).parents[1]
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin/python"
STAMP = VENV / "installed"
"""Written last: what is installed, in one line. Without it, a step was not finished."""
KINDS = ("run", "dev")
_LOCKED = {kind: REPOSITORY / f"requirements/{kind}.txt" for kind in KINDS}


def provide(kind: str) -> None:
    """Make the environment, or bring it to what is locked; quick if it is so already.

    Args:
        kind: ``run``: what Stratavore needs; ``dev``: with what checks and tests it.
    """
    if _installed() in _sufficient(kind):
        return
    STAMP.unlink(missing_ok=True)
    if not _usable():
        _make()
    pip: list[str | Path] = [PYTHON, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    # --no-deps: the lock names everything. Left to look for more, an old pip takes a newer release of what another
    # package asks for with an extra (coverage[toml]), and then refuses it as not locked (seen with 23.2).
    locked: list[str | Path] = ["--no-deps", "--require-hashes", "--requirement", _LOCKED[kind]]
    run("Installing the locked Python packages", [*pip, "install", "--progress-bar", "off", *locked])
    run(
        "Installing Stratavore itself",
        [*pip, "install", "--no-deps", "--no-build-isolation", "--editable", REPOSITORY],
    )
    STAMP.write_text(_mark(kind))


def _make() -> None:
    if importlib.util.find_spec("ensurepip") is None:  # Debian has it in a package of its own
        packages.install(["python3-venv"])
    run("Making the virtual environment", [sys.executable, "-m", "venv", "--clear", VENV])


def _usable() -> bool:
    """Whether it is one of this place, since its programs name their interpreter, and has a pip."""
    activate = VENV / "bin/activate"
    if not activate.exists() or str(VENV) not in activate.read_text():
        return False
    try:
        return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    except OSError:  # the interpreter that it was made from is gone
        return False


def _installed() -> str:
    return STAMP.read_text() if STAMP.exists() and PYTHON.exists() else ""


def _sufficient(kind: str) -> list[str]:
    """The marks of environments that will do: ``dev`` has all of ``run`` in the same versions."""
    return [_mark(one) for one in KINDS[KINDS.index(kind) :]]


def _mark(kind: str) -> str:
    digest = hashlib.sha256(str(VENV).encode())
    for file in (*_LOCKED.values(), REPOSITORY / "pyproject.toml"):
        digest.update(file.read_bytes())
    return f"{kind} {digest.hexdigest()}\n"


if __name__ == "__main__":
    sys.exit(report(lambda: provide(sys.argv[1])))
