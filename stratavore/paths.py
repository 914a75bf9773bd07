"""Where things lie below the state directory. Imports the standard library only: every command pays for it."""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from stratavore.errors import DiskFull, UnsafeDirectory, UnusableDirectory

# sun_path holds 108 bytes on Linux and 104 on macOS; tmux and asyncio refuse longer ones.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Home:
    """One Stratavore on one machine: the state directory that ``STRATAVORE_HOME`` names."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """``STRATAVORE_HOME``, else ``$XDG_STATE_HOME/stratavore``, else ``~/.local/state/stratavore``."""
        named, state = os.environ.get("STRATAVORE_HOME"), os.environ.get("XDG_STATE_HOME")
        if named:
            root = Path(named).expanduser()
        else:
            root = (Path(state) if state else Path.home() / ".local/state") / "stratavore"
        # Without "..": processes of ours carry the path, by which they are known again.
        return cls(Path(os.path.abspath(root)))  # noqa: PTH100

    def create(self) -> None:
        """Make the state directory with mode 0700; refuse one that others can enter."""
        private_directory(self.root)
        for part in (self.runners, self.sessions, self.schedules, self.logs, self.sockets):
            private_directory(part)

    def check(self) -> None:
        """Refuse a state directory that others can enter: whoever answers there may be anybody.

        Raises:
            UnsafeDirectory: it, or that of the sockets, exists and is not ours alone.
        """
        for path in (self.root, self.sockets):
            if os.path.lexists(path):
                _check_private(path)

    @property
    def runners(self) -> Path:
        """Run directories, one a runner."""
        return self.root / "runners"

    @property
    def sessions(self) -> Path:
        """What a session keeps between its runners: the environment it was launched with."""
        return self.root / "sessions"

    @property
    def schedules(self) -> Path:
        """What a schedule of this host keeps for its sessions: the environment that it was created in."""
        return self.root / "schedules"

    @property
    def logs(self) -> Path:
        """Logs of the daemon and of the embedded servers."""
        return self.root / "logs"

    @property
    def sockets(self) -> Path:
        """Unix sockets: below the state directory, or in a private one with a short name if that is too long."""
        inside = self.root / "sockets"
        if len(os.fsencode(inside)) + 32 <= LONGEST_SOCKET_PATH:
            return inside
        return Path(f"/tmp/stratavore-{os.getuid()}-{self.fingerprint}")

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell this state directory from others on the machine."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def api_socket(self) -> Path:
        """The daemon's private API."""
        return self.sockets / "api.sock"

    @property
    def daemon_lock(self) -> Path:
        """Locked (flock) by the one daemon of this state directory for as long as it lives."""
        return self.root / "daemon.lock"

    @property
    def identity_file(self) -> Path:
        """The id of this state directory (JSON), which tells it from those of other machines and users."""
        return self.root / "identity.json"

    @property
    def daemon_file(self) -> Path:
        """What the last daemon said of itself: pid, version, start, servers (JSON)."""
        return self.root / "daemon.json"

    @property
    def lease_file(self) -> Path:
        """Until when this host's lease is good, see :mod:`stratavore.fencing`; it outlives the daemon."""
        return self.root / "lease"

    @property
    def absence_file(self) -> Path:
        """The last end of the host's lease that its daemon has heard of from Postgres."""
        return self.root / "absence"

    @property
    def servers_file(self) -> Path:
        """Addresses, ports and processes of the embedded servers (JSON); they outlive the daemon."""
        return self.root / "servers.json"

    @property
    def secrets_file(self) -> Path:
        """Passwords and keys made for this state directory (JSON, 0600)."""
        return self.root / "secrets.json"

    @property
    def restored_file(self) -> Path:
        """There after a restore, until a daemon has compared everyone who knows of sessions (JSON)."""
        return self.root / "restored.json"

    def run_directory(self, runner_id: str) -> Path:
        """The directory of one runner."""
        return self.runners / runner_id

    def session_environment(self, session_id: str) -> Path:
        """The environment that a session's runners get (0600), as ``NAME=value`` entries ended by NUL."""
        return self.sessions / f"{session_id}.environment"

    def schedule_environment(self, schedule_id: str) -> Path:
        """The environment that a schedule's sessions begin with (0600), as one of a session is written."""
        return self.schedules / f"{schedule_id}.environment"

    def tmux_socket(self, project_id: str) -> Path:
        """The tmux socket of a project."""
        return self.sockets / f"t-{project_id.replace('-', '')[:12]}"


def private_directory(path: Path) -> None:
    """Create ``path`` with mode 0700, or check that it is ours and closed to others.

    Raises:
        UnsafeDirectory: it exists and belongs to another user, is no directory, or others may enter it.
        UnusableDirectory: it cannot be created.
        DiskFull: there is no room for it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=path) from error
        reason = os.strerror(error.errno or 0).lower()
        raise UnusableDirectory(path=path, reason="it is a file" if path.is_file() else reason) from error
    _check_private(path)


def _check_private(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnsafeDirectory(path=path)
