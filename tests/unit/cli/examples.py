"""Answers as a daemon gives them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.views import (
    DaemonView,
    EventView,
    HostView,
    ProjectView,
    QuotaView,
    RunnerView,
    ServerView,
    SessionView,
    StatusView,
)

NOW = datetime.now(UTC)
FIRST = "1a2b3c4d-0000-4000-8000-000000000001"
SECOND = "5e6f7a8b-0000-4000-8000-000000000002"

WEB_UI = "http://127.0.0.1:8233/namespaces/stratavore/workflows"


def project(name: str = "site", **changes: Any) -> dict[str, Any]:
    view = ProjectView(
        project_id="3f1c0e1a-0000-4000-8000-000000000009",
        name=name,
        path="/",
        agent="command",
        argv=("cat",),
        model=None,
        created_at=NOW,
        live_sessions=2,
        running=1,
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def session(session_id: str = FIRST, **changes: Any) -> dict[str, Any]:
    view = SessionView(
        session_id=session_id,
        agent_session_id=session_id,
        project="site",
        agent="command",
        state=SessionState.RUNNING,
        activity=Activity.BUSY,
        position=None,
        generation=1,
        created_at=NOW - timedelta(minutes=3),
        ended_at=None,
        tokens_used=12345,
        cost_usd=0.5,
        reason=None,
        host="here",
        runner_id=f"{session_id}.1",
        argv=("cat",),
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def runner(session_id: str = FIRST, **changes: Any) -> dict[str, Any]:
    view = RunnerView(
        runner_id=f"{session_id}.1",
        session_id=session_id,
        generation=1,
        project="site",
        agent="command",
        model=None,
        host="here",
        status=RunnerStatus.RUNNING,
        activity=Activity.IDLE,
        pid=4242,
        started_at=NOW - timedelta(hours=5),
        tokens_used=12345,
        cost_usd=0.5,
        memory_mb=121.4,
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def event(**changes: Any) -> dict[str, Any]:
    view = EventView(
        id="0d4e8a3e-0000-4000-8000-000000000003",
        type="runner.failed",
        session_id=FIRST,
        project="site",
        sequence=7,
        time=NOW,
        data={"exit_code": 1, "reason": "it was killed", "signal": None},
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def quota(**changes: Any) -> dict[str, Any]:
    view = QuotaView(scope="project", project="site", name="max_concurrent_runners", limit=3, used=2, waiting=1)
    return view.model_copy(update=changes).model_dump(mode="json")


def host(name: str = "here", **changes: Any) -> HostView:
    view = HostView(
        host=name,
        up=True,
        since=NOW - timedelta(hours=5),
        draining=False,
        lease_s=25.4,
        version="0.1.0",
        runners=0,
        memory_mb=0,
        cpu_percent=0,
    )
    return view.model_copy(update=changes)


def status(*live: dict[str, Any], **changes: Any) -> dict[str, Any]:
    view = StatusView(
        projects=2,
        sessions={"running": 3, "queued": 1},
        activities={"busy": 2, "waiting": 1},
        waiting_in_line=1,
        events_undelivered=12,
        live=(),
    )
    return view.model_copy(update=changes).model_dump(mode="json") | {"live": list(live)}


def daemon() -> dict[str, Any]:
    servers = (
        ServerView(name="temporal", address="127.0.0.1:7233", state="running", pid=11, ui=WEB_UI),
        ServerView(name="postgres", address="127.0.0.1:5432", state="running", pid=12),
        ServerView(name="rabbitmq", address="", state="missing", detail="Install it: apt-get install rabbitmq-server"),
    )
    return DaemonView(
        pid=10,
        host="here",
        version="0.1.0",
        uptime_s=4000.0,
        servers=servers,
        psql="psql 'postgresql://stratavore@127.0.0.1:5432/stratavore_state'",
        metrics="http://127.0.0.1:9091/metrics",
    ).model_dump(mode="json")
