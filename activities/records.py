"""Writing down what happened: local activities on Postgres."""

from temporalio import activity

from stratavore.models.steps import Recorded, RecordRequest, RefuseRequest
from stratavore.store import requests
from stratavore.store.database import Database
from stratavore.store.record import record


class RecordActivities:
    """What comes after a runner, or after a request that nobody can fulfil."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def record(self, request: RecordRequest) -> Recorded:
        """One transaction: runner, session, slot, grants, events."""
        return await record(self._database, request)

    @activity.defn
    async def refuse(self, request: RefuseRequest) -> None:
        """Say why a request was not done; whoever waits for it reads that."""
        async with self._database.transaction("refuse") as transaction:
            await requests.refuse(
                transaction.connection, request.request_id, request.session_id, request.kind, request.reason
            )
