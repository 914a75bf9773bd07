"""What every command asks: the daemon if it answers, else this process, straight on Postgres and Temporal.

Every call can be repeated without harm (its ids come from here), so one whose answer was lost is made again.
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli import client
from cli.terminal import note
from stratavore import __version__
from stratavore.errors import DaemonAway, DaemonSilent, OtherVersion, ServerAway, StratavoreError
from stratavore.paths import Home

if TYPE_CHECKING:
    from cli.direct import Direct

PATIENCE = 5.0
"""Seconds that a living daemon may take to answer before it counts as away."""
SILENT_SECONDS = 30.0
"""How long a daemon that did not answer is not asked again."""

RECORDED = "this is what is recorded"
UNTOLD = ""


class Service:
    """The use cases of ``stratavore.control.Control`` by name, with results as JSON values."""

    def __init__(self) -> None:
        self._direct: Direct | None = None
        self._answered = False
        self._silent_since: float | None = None
        self._absence = ""
        self._told = False
        self._told_silence = False
        self._operator: dict[str, Any] | None = None

    @property
    def home(self) -> Home:
        """The state directory."""
        return Home.from_environment()

    @property
    def absence(self) -> str:
        """What is with the daemon, if the last call was answered without it; else empty."""
        return self._absence

    @property
    def without_daemon(self) -> bool:
        """Whether the last call was answered without one: then what it asked for waits until one is back."""
        return bool(self._absence)

    @property
    def god(self) -> bool:
        """Whether this command goes past quotas and questions."""
        return self._operator is not None

    @property
    def as_god(self) -> dict[str, Any]:
        """Who does so, as a parameter of the calls that take one; else none."""
        return {} if self._operator is None else {"god": self._operator}

    def become_god(self) -> None:
        """Let this command go past quotas and questions, as the operator of this host."""
        from stratavore.operators import operator

        self._operator = self._operator or operator()

    def call(
        self,
        method: str,
        *,
        away: str = RECORDED,
        alone: Mapping[str, Any] | None = None,
        patience: float = PATIENCE,
        **params: Any,
    ) -> Any:
        """Ask for something.

        Args:
            method: of ``Control``.
            away: what still happens when no daemon runs, for a note that is shown once; ``UNTOLD`` shows none.
            alone: parameters that are different without a daemon.
            patience: seconds to wait for the daemon's answer.
            params: of the method.

        Raises:
            StratavoreError: it was refused, or neither the daemon nor the servers can be reached.
        """
        try:
            result = self._ask(method, params, patience)
        except client.Unanswered as unanswered:
            try:
                result = self._call_directly(method, params | dict(alone or {}))
            except DaemonAway:
                raise self._missing(unanswered) from None
            except ServerAway:
                if unanswered.silent and away not in (RECORDED, UNTOLD) and not self._told_silence:
                    self._told_silence = True
                    note("The daemon has heard of it and may do it later; look with: stratavore sessions")
                raise
            self._absence = f"The daemon {'does not answer' if unanswered.silent else 'is not running'}"
            self.tell_absence(away)
        else:
            self._absence = ""
        return result

    def tell_absence(self, away: str) -> None:
        """Say once what still happens, if the last call was answered without a daemon."""
        if self._absence and away and not self._told:
            self._told = True
            start, look = "Start it with: stratavore daemon start", "See: stratavore daemon status"
            note(f"{self._absence}: {away}. {start if self._silent_since is None else look}")

    def call_daemon(self, method: str, *, patience: float = PATIENCE, **params: Any) -> Any:
        """Ask for something that only a daemon can do.

        Raises:
            DaemonAway: there is none.
            DaemonSilent: it does not answer.
        """
        try:
            return self._ask(method, params, patience)
        except client.Unanswered as unanswered:
            raise self._missing(unanswered) from None

    def stream(self, method: str, **params: Any) -> Iterator[Any]:
        """Items from the daemon, for ever.

        Raises:
            DaemonAway: there is none, or it ended.
            DaemonSilent: it does not answer.
        """
        self.call_daemon("daemon_status")
        try:
            yield from client.stream(self.home.api_socket, method, params)
        except client.Unanswered as unanswered:
            raise self._missing(unanswered) from None
        raise DaemonAway

    def check_version(self) -> None:
        """See whether what is not understood comes from a daemon of another version.

        Raises:
            OtherVersion: it does.
        """
        if self._answered:
            daemon = client.call(self.home.api_socket, "daemon_status", {}, PATIENCE)["version"]
            if daemon != __version__:
                raise OtherVersion(daemon=daemon, client=__version__)

    def close(self) -> None:
        """Close what was opened without a daemon."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None

    def _ask(self, method: str, params: dict[str, Any], patience: float) -> Any:
        """The daemon's answer. One that may take long is asked for when the daemon is known to answer at all."""
        home = self.home
        if self._silent_since is not None and time.monotonic() - self._silent_since < SILENT_SECONDS:
            raise client.Unanswered(silent=True)
        home.check()
        try:
            if patience > PATIENCE and not self._answered:
                client.call(home.api_socket, "daemon_status", {}, PATIENCE)
            result = client.call(home.api_socket, method, params, patience)
        except client.Unanswered as unanswered:
            self._answered = False
            self._silent_since = time.monotonic() if unanswered.silent else None
            raise
        self._answered, self._silent_since = True, None
        return result

    def _call_directly(self, method: str, params: dict[str, Any]) -> Any:
        if self._direct is None:
            from cli.direct import Direct  # Temporal's SDK: most of a second

            self._direct = Direct(self.home)
        return self._direct.call(method, params)

    def _missing(self, unanswered: client.Unanswered) -> StratavoreError:
        return DaemonSilent(pid=daemon_pid(self.home)) if unanswered.silent else DaemonAway()


def daemon_pid(home: Home) -> str:
    """The process that locked the state directory last; ``?`` if none did."""
    try:
        return home.daemon_lock.read_text().strip() or "?"
    except FileNotFoundError:
        return "?"


service = Service()
