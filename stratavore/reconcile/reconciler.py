"""The protocol: look, look again, and repair what both looks found."""

import asyncio
import logging
from collections.abc import Iterator

from temporalio.client import Client
from temporalio.service import RPCError

from stratavore.errors import StratavoreError
from stratavore.models.findings import Difference, Outcome, Reconciliation
from stratavore.models.upkeep import UpkeepPart
from stratavore.reconcile.compare import compare
from stratavore.reconcile.facts import Facts, gather
from stratavore.reconcile.finding import Finding
from stratavore.reconcile.here import Here
from stratavore.reconcile.repair import PutAway, Repairs, TakeUp, Wake
from stratavore.store.connection import AWAY
from stratavore.store.database import Database

_log = logging.getLogger(__name__)

SECOND_LOOK_SECONDS = 1.0
"""Between two looks. Launches and ends are over by then, or look different."""
_FAILURES = (StratavoreError, RPCError, *AWAY)


class Reconciler:
    """Compares everyone who knows of sessions, as far as this process can see them."""

    def __init__(
        self,
        client: Client,
        database: Database,
        host: str,
        here: Here | None,
        *,
        take_up: TakeUp,
        put_away: PutAway,
        wake: Wake,
    ) -> None:
        self._client = client
        self._database = database
        self._host = host
        self._here = here
        self._repairs = Repairs(client, database, host, take_up, put_away, wake, here)

    async def run(
        self, *, dry_run: bool = False, end_orphans: bool = False, part: UpkeepPart | None = None
    ) -> Reconciliation:
        """Find what differs, and repair what is safe to be repaired; with ``dry_run`` change nothing.

        Args:
            dry_run: only say what would be done.
            end_orphans: end what nobody decides for any more, instead of taking it up or leaving it.
            part: leave what is not of this part.

        Raises:
            RPCError, asyncpg.PostgresError: Temporal or Postgres does not answer; nothing was changed.
        """
        facts = await self._gather()
        found = compare(facts, end_orphans=end_orphans, part=part)
        if found:
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            before = {(one.kind, one.subject) for one in found}
            facts = await self._gather()
            found = compare(facts, end_orphans=end_orphans, part=part)
            found = [one for one in found if (one.kind, one.subject) in before]
        differences = [await self._settle(one, dry_run=dry_run) for one in found]
        return Reconciliation(dry_run=dry_run, differences=tuple(differences), unseen=tuple(_unseen(facts, part)))

    async def _gather(self) -> Facts:
        return await gather(self._client, self._database, self._host, self._here)

    async def _settle(self, finding: Finding, *, dry_run: bool) -> Difference:
        """Repair it, if it is to be repaired. One that fails holds up no other."""
        if finding.repair is None:
            if not dry_run:
                await self._repairs.tell(finding)
            return _difference(finding, Outcome.LEFT, finding.advice)
        if dry_run:
            return _difference(finding, Outcome.FOUND, finding.repair)
        try:
            repaired = await self._repairs.repair(finding)
        except _FAILURES as error:
            _log.error("not reconciled: %s: %s", finding.what, str(error) or type(error).__name__)
            return _difference(finding, Outcome.FAILED, str(error) or type(error).__name__)
        if not repaired:
            return _difference(finding, Outcome.GONE, "it was right by then")
        return _difference(finding, Outcome.REPAIRED, finding.repair)


def _difference(finding: Finding, outcome: Outcome, action: str) -> Difference:
    return Difference(
        kind=finding.kind,
        subject=finding.subject,
        session_id=finding.session.session_id if finding.session else None,
        project=finding.session.project if finding.session else None,
        what=finding.what,
        since=finding.since,
        outcome=outcome,
        action=str(action),
    )


def _unseen(facts: Facts, part: UpkeepPart | None) -> Iterator[str]:
    """What could not be looked at; of one part, nothing that is left to others."""
    if facts.seen:
        yield from facts.seen.unseen
    for session_id, why in facts.recorded.strangers.items():
        yield f"the session {session_id}, whose row is not understood: {why}"
    if part:
        return
    if facts.seen is None:
        yield f"processes, terminals and run directories of the host {facts.host}: only its daemon looks at them"
    for host in facts.recorded.hosts.values():
        if host.name != facts.host and host.runners:
            yield f"processes, terminals and run directories of the host {host.name}: run 'stratavore reconcile' there"
