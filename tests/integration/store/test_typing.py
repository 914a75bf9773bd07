"""Text is typed once, or it is said that it may have been: on a real Postgres and a real terminal."""

import os
import signal
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import pytest

from activities.records import RecordActivities
from activities.runners import Monitor, RunnerActivities
from activities.starts import Starts
from stratavore.errors import StratavoreError
from stratavore.models.steps import RefuseRequest, SendRequest, StopRequest
from stratavore.runtime.rundir import RunSpec
from stratavore.store import requests, sessions
from stratavore.store.requests import Outcome
from tests.integration.runtime.conftest import runners as runners
from tests.integration.runtime.runners import Runners
from tests.integration.store.steps import Session, Store
from tests.support.waiting import until

DOUBT = "the daemon was interrupted while typing; look at the terminal before sending it again"


class NoQuestions:
    """All that typing asks of the monitor."""

    def __init__(self) -> None:
        self.served = True

    async def serves_host(self, _: object) -> bool:
        return self.served

    def asks(self, runner_id: str) -> bool:
        return False

    def rests(self, runner_id: str) -> bool:
        return False

    def answered(self, runner_id: str) -> None:
        raise AssertionError("nothing was asked")


class Typist:
    """A session whose agent is ``cat``, and the activity that types into it."""

    def __init__(self, store: Store, runners: Runners, session: Session, spec: RunSpec) -> None:
        self._store = store
        self._session = session
        self._spec = spec
        self._log = runners.files(spec).log
        self.runner_id = spec.runner_id
        self.monitor = NoQuestions()
        self.activities = RunnerActivities(
            runners.home,
            store.database,
            runners.host,
            runners.tmux,
            cast(Monitor, self.monitor),
            Starts(1, lambda _: True),
        )

    def request(self, text: str, *, runner_id: str | None = None) -> SendRequest:
        return SendRequest(
            request_id=str(uuid.uuid4()),
            session_id=self._session.session_id,
            runner_id=runner_id or self._spec.runner_id,
            project_id=self._spec.project_id,
            text=text,
            enter=True,
        )

    async def send(self, request: SendRequest) -> Outcome | None:
        await self.activities.send(request)
        return await self.outcome(request)

    async def outcome(self, request: SendRequest) -> Outcome | None:
        async with self._store.database.pool.acquire() as connection:
            return await requests.outcome(connection, request.request_id)

    async def typed(self, text: str) -> str:
        """Type this, and return all that was shown until its echo and cat's copy of it were."""
        assert await self.send(self.request(text)) == Outcome("done", None)
        await until(lambda: self._log.read_text().count(text) == 2, what=f"{text!r} twice")
        return self._log.read_text()


@pytest.fixture
async def typist(store: Store, runners: Runners) -> AsyncIterator[Typist]:
    session = Session(await store.project())
    await store.admitted(session)
    spec = runners.spec("/bin/cat")
    agent = await runners.agent(spec)
    yield Typist(store, runners, session, spec)
    await runners.host.stop(spec.runner_id, spec.project_id, grace=0, force=True)
    await runners.gone(agent)


async def test_a_repeated_request_types_nothing(typist: Typist) -> None:
    request = typist.request("once")
    assert await typist.send(request) == Outcome("done", None)
    assert await typist.send(request) == Outcome("done", None)
    assert (await typist.typed("the last words")).count("once") == 2


async def test_what_may_have_been_typed_is_not_typed_again(typist: Typist, store: Store) -> None:
    request = typist.request("perhaps")
    # All that is left of a daemon that died at its keys.
    async with store.database.transaction("test") as transaction:
        assert await requests.begin(transaction.connection, request.request_id, request.session_id, "send")
    assert await typist.outcome(request) == Outcome("doing", None)
    assert await typist.send(request) == Outcome("refused", DOUBT)
    assert await typist.send(request) == Outcome("refused", DOUBT)
    assert "perhaps" not in await typist.typed("the last words")


async def test_what_a_dead_runner_did_not_hear_is_left_for_the_next_one(typist: Typist) -> None:
    request = typist.request("hello", runner_id=f"{uuid.uuid4()}.1")
    assert await typist.send(request) is None
    assert await typist.send(request.model_copy(update={"runner_id": typist.runner_id})) == Outcome("done", None)


async def test_who_lost_the_name_of_its_host_says_nothing_of_runners_that_were_never_here(
    typist: Typist, runners: Runners
) -> None:
    typist.monitor.served = False
    elsewhere = typist.request("hello", runner_id=f"{uuid.uuid4()}.1")
    with pytest.raises(StratavoreError, match="does not have the name of its host now"):
        await typist.send(elsewhere)
    assert await typist.outcome(elsewhere) is None
    stop = StopRequest(runner_id=elsewhere.runner_id, project_id=elsewhere.project_id, grace=timedelta(0), force=True)
    with pytest.raises(StratavoreError, match="does not have the name of its host now"):
        await typist.activities.stop(stop)
    assert not runners.home.run_directory(elsewhere.runner_id).exists(), "it forbids the other one nothing"
    await typist.activities.stop(stop.model_copy(update={"runner_id": typist.runner_id}))


async def test_a_terminal_that_fails_for_a_moment_refuses_no_prompt(
    typist: Typist, runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = typist.request("the first words").model_copy(update={"patient": True})
    server = await runners.server()
    os.kill(server, signal.SIGSTOP)
    try:
        with monkeypatch.context() as impatient:
            impatient.setattr("stratavore.runtime.tmux.CALL_SECONDS", 0.3)
            assert await typist.send(request) is None
    finally:
        os.kill(server, signal.SIGCONT)
    assert await typist.send(request) == Outcome("done", None)


async def test_the_first_word_about_a_request_counts(typist: Typist, store: Store) -> None:
    done, unknown = typist.request("heard"), typist.request("never asked for")
    await typist.send(done)
    refuse = RecordActivities(store.database).refuse
    for request in (done, unknown):
        for reason in ("its host did not answer in time", "another reason"):
            await refuse(
                RefuseRequest(request_id=request.request_id, session_id=request.session_id, kind="send", reason=reason)
            )
    assert await typist.outcome(done) == Outcome("done", None)
    assert await typist.outcome(unknown) == Outcome("refused", "its host did not answer in time")
    assert await typist.send(unknown) == Outcome("refused", "its host did not answer in time")
    assert "never asked for" not in await typist.typed("the last words")


async def test_a_prompt_that_is_refused_is_shown_with_its_session(typist: Typist, store: Store) -> None:
    request = typist.request("the first words").model_copy(update={"patient": True})
    async with store.database.transaction("test") as transaction:
        assert await requests.begin(transaction.connection, request.request_id, request.session_id, "prompt")
    await store.fetch("UPDATE sessions SET state = 'running'")
    async with store.database.pool.acquire() as connection:
        assert [view.reason for view in await sessions.views(connection)] == [None]
        assert await typist.send(request) == Outcome("refused", DOUBT)
        assert [view.reason for view in await sessions.views(connection)] == [f"its prompt was not typed: {DOUBT}"]
