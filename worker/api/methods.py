"""What the private API offers: all of ``Control``, and what only the daemon itself can say or do."""

from collections.abc import Callable, Mapping
from typing import Any

from stratavore.control import Control
from stratavore.events.broker import Broker
from stratavore.models.findings import Reconciliation
from stratavore.models.views import DaemonView
from worker.api.server import Method
from worker.lease import HostLease


def api_methods(
    control: Control,
    broker: Broker,
    lease: HostLease,
    *,
    status: Callable[[], DaemonView],
    stop: Callable[[], None],
) -> Mapping[str, Method]:
    """Every method by the name that a client calls it by."""

    async def server_versions() -> dict[str, str | None]:
        return await control.server_versions() | {"rabbitmq": broker.version}

    async def reconcile(**params: Any) -> Reconciliation:
        if lease.taken:  # its runners would be taken for lost, since none of them is here
            raise lease.taken
        return await control.reconcile(**params)

    async def daemon_status() -> DaemonView:
        return status()

    async def stop_daemon() -> dict[str, str]:
        stop()
        return {}

    own = {
        name: getattr(control, name)
        for name in dir(Control)
        if not name.startswith("_") and callable(getattr(Control, name))
    }
    return {
        **own,
        "server_versions": server_versions,
        "daemon_status": daemon_status,
        "reconcile": reconcile,
        "stop_daemon": stop_daemon,
        "subscribe": broker.subscribe,
    }
