"""For root only: the system user that Postgres runs as, and a copy of its programs for this user."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from stratavore.embedded.records import sync_directory, sync_file
from stratavore.errors import ServerMissing

NAME = "stratavore"
ROOTS_DIRECTORY = Path("/var/lib/stratavore")

# util-linux and busybox.
CREATE = (
    ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(ROOTS_DIRECTORY), NAME],
    ["adduser", "-S", "-D", "-H", "-h", str(ROOTS_DIRECTORY), NAME],
)


@dataclass(frozen=True)
class Account:
    """A user and its group."""

    user: int
    group: int


@dataclass(frozen=True)
class Installation:
    """Postgres as a wheel unpacks it: the programs find their libraries by a relative path."""

    root: Path
    package: str
    part: str

    @classmethod
    def of_wheel(cls, package: str, part: str) -> "Installation":
        """The one that is installed beside us, found without importing it."""
        found = find_spec(package)
        if found is None or found.origin is None:
            raise ServerMissing(
                server="Postgres", reason=f"the package {package} is not installed", hint="Run: make up"
            )
        return cls(Path(found.origin).parents[1], package, part)

    @property
    def programs(self) -> Path:
        """Where ``postgres``, ``initdb`` and ``psql`` are."""
        return self.root / self.package / self.part / "bin"

    @property
    def parts(self) -> list[Path]:
        """What belongs to it, below ``root``; some wheels have their libraries beside the package."""
        both = Path(self.package, self.part), Path(f"{self.package}.libs")
        return [part for part in both if (self.root / part).exists()]


def service_account() -> Account:
    """The system user ``stratavore``, created if it does not exist."""
    for create in (*CREATE, None):
        try:
            found = pwd.getpwnam(NAME)
            return Account(found.pw_uid, found.pw_gid)
        except KeyError:
            if create is not None and shutil.which(create[0]):
                subprocess.run(create, capture_output=True, check=False)
    raise ServerMissing(
        server="Postgres",
        reason=f"it does not run as root, and no user {NAME} could be created",
        hint=f"Run: useradd --system {NAME}, or run stratavore as a normal user",
    )


def make_shared_directory() -> None:
    """``/var/lib/stratavore``: anyone may pass through it, nobody may list it."""
    ROOTS_DIRECTORY.mkdir(parents=True, exist_ok=True)
    ROOTS_DIRECTORY.chmod(0o711)


def make_private_directory(path: Path, account: Account) -> None:
    """A directory in it that belongs to the account."""
    make_shared_directory()
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, account.user, account.group)


@cache
def readable_copy(installation: Installation) -> Installation:
    """A copy below ``/var/lib``: the original may be below ``/root``, or change below a running server."""
    from importlib.metadata import version

    make_shared_directory()
    name = f"{installation.part}-{version(installation.package)}"
    copy = replace(installation, root=ROOTS_DIRECTORY / name)
    if copy.root.exists():
        return copy
    new = Path(mkdtemp(prefix=f".{name}-", dir=ROOTS_DIRECTORY))
    try:
        for part in installation.parts:
            shutil.copytree(installation.root / part, new / part, symlinks=True)
        for directory, _, files in os.walk(new):
            Path(directory).chmod(0o755)
            for file in files:
                path = Path(directory, file)
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                    sync_file(path)  # one that is found is taken for whole, for good
            sync_directory(Path(directory))
        try:
            new.rename(copy.root)
        except OSError:  # another stratavore of this machine was faster
            if not copy.root.exists():
                raise
        sync_directory(ROOTS_DIRECTORY)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return copy
