"""Whatever is killed: who ran runs again with its conversation, and everybody else stands where he stood."""

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.household import Household
from tests.support import guardian, servers
from tests.support.whole_daemon import SERVERS, WholeDaemon, kill

pytestmark = pytest.mark.xdist_group("household")


@pytest.fixture(scope="module")
def household(homes: Path) -> Iterator[Household]:
    """One household lives through all that happens here, one thing after the other."""
    made = Household(WholeDaemon(servers.new_home(homes)))
    try:
        servers.run_apart(made.move_in())
        yield made
    finally:
        made.daemon.kill()
        servers.run_apart(guardian.clean(made.daemon.home))


async def the_daemon(house: Household) -> None:
    await house.daemon.restart()


async def temporal(house: Household) -> None:
    kill(house.daemon.server_pid("temporal"))


async def postgres(house: Household) -> None:
    kill(house.daemon.server_pid("postgres"))


async def rabbitmq(house: Household) -> None:
    kill(house.daemon.server_pid("rabbitmq"))


async def the_terminals(house: Household) -> None:
    kill(*house.daemon.tmux_servers())


async def the_agents(house: Household) -> None:
    kill(*await house.agents())


async def everything_at_once(house: Household) -> None:
    agents = await house.agents()
    kill(house.daemon.pid, *map(house.daemon.server_pid, SERVERS), *house.daemon.tmux_servers(), *agents)
    await house.daemon.restart()


async def a_reboot(house: Household) -> None:
    await house.daemon.power_cut()
    await house.daemon.start()


Fault = Callable[[Household], Coroutine[Any, Any, None]]

TOUCH_NO_AGENT = (the_daemon, temporal, postgres, rabbitmq)
TAKE_THE_AGENTS: dict[Fault, tuple[str, ...]] = {
    the_agents: ("agent",),
    the_terminals: ("terminal",),
    everything_at_once: ("agent", "terminal"),  # whichever is gone first
    a_reboot: ("host",),
}
"""And what the time of their recovery is told as."""


@pytest.mark.parametrize("fault", [*TOUCH_NO_AGENT, *TAKE_THE_AGENTS], ids=lambda fault: str(fault.__name__))
async def test_who_ran_runs_again(household: Household, fault: Fault) -> None:
    before = await household.standings()
    await fault(household)
    await household.is_whole(before, relaunched=fault in TAKE_THE_AGENTS)
    if causes := TAKE_THE_AGENTS.get(fault):
        recoveries = await household.recoveries()
        assert sum(recoveries.get(cause, 0) for cause in causes) >= len(household.running)
    await household.talk()
    await household.everything_was_told()
