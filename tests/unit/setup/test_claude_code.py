import json
import re
from pathlib import Path

import pytest

from setup import claude_code
from setup.progress import SetupFailed
from tests.unit.setup.conftest import Machine

PINNED = Path(claude_code.__file__).parents[1] / "tests/claude_code"

# As npm does it: the packages lie in the directory that --prefix names, the program in one for the system.
INSTALL = """\
test "$1" = ci && test "$2" = --prefix && test -f "$3/package-lock.json" || exit 1
mkdir -p "$3/node_modules/@anthropic-ai/claude-code-system"
printf '#!/bin/sh\\n' > "$3/node_modules/@anthropic-ai/claude-code-system/claude"
chmod 755 "$3/node_modules/@anthropic-ai/claude-code-system/claude"
"""


def directories(machine: Machine) -> list[str]:
    place = machine.cache.parent / "claude-code"
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def test_it_is_installed_once(machine: Machine) -> None:
    machine.add("npm", INSTALL)
    claude_code.provide()
    assert claude_code.program().is_file()
    assert directories(machine) == [claude_code.version()]
    claude_code.provide()
    assert len(machine.asked) == 1


def test_what_does_not_run_is_not_put_into_place(machine: Machine) -> None:
    machine.add("npm", INSTALL.replace("#!/bin/sh", "#!/bin/sh\\nexit 1"))
    with pytest.raises(SetupFailed, match="Trying Claude Code: exit code 1"):
        claude_code.provide()
    assert directories(machine) == []


def test_a_system_without_a_program_is_told(machine: Machine) -> None:
    machine.add("npm", "mkdir $3/node_modules")
    with pytest.raises(SetupFailed, match="has no program for this system"):
        claude_code.provide()
    assert directories(machine) == []


def test_without_npm_it_says_what_to_install(machine: Machine) -> None:
    with pytest.raises(SetupFailed, match=r"no program 'npm': install Node\.js"):
        claude_code.provide()


def test_one_version_is_locked_by_hashes_and_from_no_address() -> None:
    lock = (PINNED / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", claude_code.version())
    assert "http" not in lock
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-")
        assert not name or package["version"] == claude_code.version()
