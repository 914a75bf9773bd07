"""What every command asks: the daemon if it answers, else this process, straight on Postgres and Temporal.

Every call can be repeated without harm (its ids come from here), so one whose answer was lost is made again.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli import client
from cli.terminal import note
from stratavore.errors import DaemonAway
from stratavore.paths import Home

if TYPE_CHECKING:
    from cli.direct import Direct

PATIENCE = 10.0
"""Seconds that a living daemon may take to answer before it counts as away."""

RECORDED = "this is what is recorded"


class Service:
    """The use cases of ``stratavore.control.Control`` by name, with results as JSON values."""

    def __init__(self) -> None:
        self._direct: Direct | None = None
        self._silent = False
        self._told = False

    @property
    def home(self) -> Home:
        """The state directory."""
        return Home.from_environment()

    @property
    def without_daemon(self) -> bool:
        """Whether the last call was answered without one: then what it asked for waits until one is back."""
        return self._told

    def call(self, method: str, *, away: str = RECORDED, patience: float = PATIENCE, **params: Any) -> Any:
        """Ask for something.

        Args:
            method: of ``Control``.
            away: what still happens when no daemon runs, for a note that is shown once.
            patience: seconds to wait for the daemon's answer.
            params: of the method.

        Raises:
            StratavoreError: it was refused, or neither the daemon nor the servers can be reached.
        """
        if not self._silent:
            try:
                result = client.call(self.home.api_socket, method, params, patience)
            except client.Unanswered as unanswered:
                self._silent = unanswered.silent
            else:
                self._told = False
                return result
        return self._call_directly(method, away, params)

    def call_daemon(self, method: str, *, patience: float = PATIENCE, **params: Any) -> Any:
        """Ask for something that only a daemon can do.

        Raises:
            DaemonAway: none answers.
        """
        try:
            return client.call(self.home.api_socket, method, params, patience)
        except client.Unanswered:
            raise DaemonAway from None

    def stream(self, method: str, **params: Any) -> Iterator[Any]:
        """Items from the daemon, until it ends.

        Raises:
            DaemonAway: none answers.
        """
        try:
            yield from client.stream(self.home.api_socket, method, params)
        except client.Unanswered:
            raise DaemonAway from None

    def close(self) -> None:
        """Close what was opened without a daemon."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None

    def _call_directly(self, method: str, away: str, params: dict[str, Any]) -> Any:
        if self._direct is None:
            from cli.direct import Direct  # Temporal's SDK: most of a second

            self._direct = Direct(self.home)
        result = self._direct.call(method, params)
        if not self._told:
            self._told = True
            state = "does not answer" if self._silent else "is not running"
            note(f"The daemon {state}: {away}. Start it with: stratavore daemon start")
        return result


service = Service()
