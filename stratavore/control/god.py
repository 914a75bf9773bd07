"""``--god``: past quotas and questions, for the operator of the host, and never unseen."""

from collections.abc import Mapping, Sequence
from typing import Any

from stratavore.control.reach import Reach
from stratavore.errors import NotOperator
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Operator
from stratavore.store.database import Transaction


class God(Reach):
    """Knows the operator, and records what was done as one."""

    async def _as_god(
        self, said: Mapping[str, Any] | None, command: str, targets: Sequence[str], project: str = ""
    ) -> Operator | None:
        """The operator who gave a command, recorded before it has any effect; None: nobody in particular."""
        operator = self._operator(said)
        if operator:
            async with self._database.transaction("god") as transaction:
                self._record_god(transaction, operator, command, targets, project)
        return operator

    def _operator(self, said: Mapping[str, Any] | None) -> Operator | None:
        """Who commands as the operator.

        Raises:
            NotOperator: the state directory belongs to somebody else.
        """
        if said is None:
            return None
        operator = Operator.model_validate(said)
        if operator.uid != self._home.root.stat().st_uid:
            raise NotOperator(user=operator.user)
        return operator

    @staticmethod
    def _record_god(
        transaction: Transaction, operator: Operator, command: str, targets: Sequence[str], project: str = ""
    ) -> None:
        transaction.emit(
            NewEvent(
                session_id=None,
                key=f"god/{operator.id}/{command}",
                type=EventType.SYSTEM_GOD,
                project=project,
                data={**operator.model_dump(), "command": command, "targets": list(targets)},
            )
        )
