"""What systemd does to the service, and what becomes of the agents in it."""

from tests.support.waiting import answer, until
from tests.systemd.machine import Machine
from tests.systemd.service import UNIT, Service


async def test_agents_outlive_whatever_happens_to_the_service(service: Service) -> None:
    agents = await service.agents()
    assert await service.cli.done("health") == "healthy\n"

    service.systemctl("restart", UNIT)
    assert await service.agents() == agents

    service.systemctl("kill", "--signal", "KILL", "--kill-who", "main", UNIT)
    await until(lambda: service.shows("NRestarts") == "1" and service.shows("ActiveState") == "active")
    assert await service.agents() == agents

    service.type(f"mkdir {service.drop_in} && echo '[Service]\nWatchdogSec=3' >{service.drop_in}/short.conf")
    service.systemctl("daemon-reload")
    service.systemctl("restart", UNIT)
    hung = service.shows("MainPID")
    service.type(f"kill -STOP {hung}")
    await until(lambda: service.shows("MainPID") not in ("0", hung) and service.shows("ActiveState") == "active")
    await until(lambda: "most recent call first" in service.journal(), what="the word where it hung")
    assert await service.agents() == agents

    service.systemctl("stop", UNIT)
    assert service.shows("ActiveState") == "inactive"
    service.systemctl("start", UNIT)
    assert await service.agents() == agents

    await service.uninstall()
    assert service.shows("LoadState") == "not-found"
    assert (await service.cli("daemon", "start")).err == ""
    assert await service.agents() == agents
    await service.cli.done("daemon", "stop", "--all", "--force")


async def test_a_wrong_setting_is_told_and_not_tried_again(service: Service) -> None:
    agents = await service.agents()
    service.type(f"echo 'STRATAVORE_METRICS__PORT=\"nonsense\"' >>{service.variables}")
    service.systemctl("restart", UNIT)
    assert [service.shows(name) for name in ("SubState", "Result", "NRestarts")] == ["failed", "exit-code", "0"]
    (said,) = (line for line in service.journal().splitlines() if line.startswith("Error: "))
    assert said == "Error: The setting STRATAVORE_METRICS__PORT is wrong: it takes a whole number from 0 to 65535."
    service.type(f"sed -i /nonsense/d {service.variables}")
    service.systemctl("start", UNIT)
    assert await service.agents() == agents


async def test_after_a_reboot_nobody_needs_to_do_anything(service: Service, machine: Machine) -> None:
    again = {f"{one.removesuffix('.1')}.2" for one in await service.agents()}
    await machine.reboot()
    await until(lambda: service.shows("ActiveState") == "active", what="the service")

    async def run_again() -> bool:
        return set(await service.agents()) == again

    await answer(run_again, what="that both run again")
