"""A Temporal of one's own: behind mutual TLS and an API key, with a role that may do little."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio import activity
from temporalio.worker import Worker

from stratavore import connect
from stratavore.config.settings import TemporalSettings
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import InvalidInput, NamespaceMissing, RightsMissing, ServerAway, StratavoreError
from stratavore.naming import TASK_QUEUE, host_queue, launch_queue
from stratavore.servers import namespace as preparation
from stratavore.servers import trials
from tests.support.certificates import Certificates
from tests.support.temporal_front import TemporalFront
from tests.support.waiting import answer
from workflows.upkeep import UpkeepWorkflow

API_KEY = "k3y"
OF_ADMINISTRATORS = ("RegisterNamespace", "AddSearchAttributes", "ListSearchAttributes")


@pytest.fixture
async def front(stack: EmbeddedStack, certificates: Certificates) -> AsyncIterator[TemporalFront]:
    """Who comes in shows a certificate and an API key."""
    made = TemporalFront.before(stack.temporal_address, certificates.server, client_ca=certificates.ca, api_key=API_KEY)
    async with made as found:
        yield found


def settings(certificates: Certificates, name: str | None = None, **changes: Any) -> TemporalSettings:
    """Those that the front lets in."""
    client = certificates.client
    full = {"ca": certificates.ca, "cert": client.cert, "key": client.key, "api_key": API_KEY}
    return TemporalSettings.model_validate(
        full | {"namespace": name or f"test-{uuid.uuid4().hex[:12]}", "address": "localhost:1"} | changes
    )


async def refused(address: str, found: TemporalSettings) -> StratavoreError:
    with pytest.raises(StratavoreError) as raised:
        await connect.temporal(address, found)
    assert API_KEY not in str(raised.value)
    return raised.value


async def test_a_namespace_is_made_once_through_mutual_tls_with_an_api_key(
    front: TemporalFront, certificates: Certificates
) -> None:
    client = await connect.temporal(front.address, settings(certificates))
    looked = [step.state for step in await preparation.prepare(client, change=False)]
    assert looked == ["to make", "to make"]
    assert [step.state for step in await preparation.prepare(client)] == ["made", "made"]
    assert [step.state for step in await preparation.prepare(client)] == ["found", "found"]
    tried = [trial async for trial in trials.temporal(front.address, settings(certificates, client.namespace), "h")]
    assert [(trial.check, trial.ok) for trial in tried] == [
        ("connect", True),
        ("namespace", True),
        ("workers", False),
    ]
    assert tried[-1].detail.startswith("Nobody works on the task queue stratavore. Start a daemon")


@activity.defn
async def nothing() -> None:
    """What a worker has to have."""


async def test_a_host_whose_launches_nobody_takes_is_told(stack: EmbeddedStack, namespace: str) -> None:
    found = TemporalSettings.model_validate({"address": stack.temporal_address, "namespace": namespace})
    client = await connect.temporal(stack.temporal_address, found)
    last: trials.Trial | None = None

    async def says(words: str) -> bool:
        nonlocal last
        *_, last = [trial async for trial in trials.temporal(stack.temporal_address, found, "h")]
        return words in last.detail

    sessions = Worker(client, task_queue=TASK_QUEUE, workflows=[UpkeepWorkflow])
    of_host = Worker(client, task_queue=host_queue("h"), activities=[nothing])
    async with sessions, of_host:
        await answer(lambda: says("Nobody works on the task queue host-h-launches"), what="that launches are missing")
        assert last
        assert not last.ok
        async with Worker(client, task_queue=launch_queue("h"), activities=[nothing]):
            await answer(lambda: says("stratavore, host-h and host-h-launches are worked on"), what="all three")
            assert last.ok


async def test_what_is_wrong_with_tls_or_the_key_is_told(
    front: TemporalFront, certificates: Certificates, stack: EmbeddedStack
) -> None:
    stranger = certificates.stranger
    for changes, kind, meaning in (
        ({"ca": certificates.other_ca}, ServerAway, "not signed by an authority that is trusted here"),
        ({"cert": None, "key": None}, ServerAway, "asks for a client certificate, see temporal.cert"),
        (
            {"cert": stranger.cert, "key": stranger.key},
            ServerAway,
            "asks for a client certificate, see temporal.cert",
        ),
        ({"server_name": "other.example"}, ServerAway, "its certificate is for another host name"),
        ({"api_key": "wr0ng"}, RightsMissing, "does not let 'this API key'"),
        ({"api_key": None}, RightsMissing, "does not let 'a client without an API key'"),
        ({"tls": False}, ServerAway, "if it speaks TLS, set temporal.tls"),
        ({"ca": "/nowhere/ca.pem"}, InvalidInput, "The file /nowhere/ca.pem, which temporal.ca names, cannot be read"),
    ):
        error = await refused(front.address, settings(certificates, **changes))
        assert isinstance(error, kind), (changes, error)
        assert meaning in str(error)
    away = await refused(stack.temporal_address, settings(certificates))
    assert "it does not speak TLS on this port" in str(away)
    away = await refused("localhost:1", settings(certificates))
    assert str(away) == f"Temporal cannot be reached at localhost:1: it does not answer. {connect.HINT}."


async def test_an_expired_certificate_is_told(stack: EmbeddedStack, certificates: Certificates) -> None:
    async with TemporalFront.before(stack.temporal_address, certificates.expired) as front:
        assert "its certificate has expired" in str(await refused(front.address, settings(certificates)))


async def test_a_name_in_the_certificate_can_be_named(stack: EmbeddedStack, certificates: Certificates) -> None:
    async with TemporalFront.before(stack.temporal_address, certificates.elsewhere) as front:
        await connect.temporal(front.address, settings(certificates, server_name="elsewhere.example"))


async def test_who_may_make_nothing_works_with_what_an_administrator_made(
    stack: EmbeddedStack, namespace: str, certificates: Certificates
) -> None:
    async with TemporalFront.before(stack.temporal_address, certificates.server, denied=OF_ADMINISTRATORS) as front:
        client = await connect.temporal(front.address, settings(certificates, namespace))
        assert [step.state for step in await preparation.prepare(client)] == ["found", "found"]
        other = await connect.temporal(front.address, settings(certificates, "no-such"))
        with pytest.raises(NamespaceMissing, match="has no namespace 'no-such', and does not let us create it: "):
            await preparation.prepare(other)


async def test_attributes_that_may_not_be_added_are_told_with_the_command(
    stack: EmbeddedStack, certificates: Certificates
) -> None:
    async with TemporalFront.before(stack.temporal_address, certificates.server, denied=OF_ADMINISTRATORS[1:]) as front:
        client = await connect.temporal(front.address, settings(certificates))
        with pytest.raises(RightsMissing) as raised:
            await preparation.prepare(client)
        command = f"temporal operator search-attribute create --namespace {client.namespace} --name Project"
        assert command in str(raised.value)


async def test_a_role_that_may_not_even_count_workflows_is_told(
    stack: EmbeddedStack, namespace: str, certificates: Certificates
) -> None:
    denied = (*OF_ADMINISTRATORS, "CountWorkflowExecutions")
    async with TemporalFront.before(stack.temporal_address, certificates.server, denied=denied) as front:
        client = await connect.temporal(front.address, settings(certificates, namespace))
        with pytest.raises(
            RightsMissing, match=r"its workflows may not be counted\. Give temporal\.api_key rights in it"
        ):
            await preparation.prepare(client)
