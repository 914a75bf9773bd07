"""Does what the plan says to processes of the run, and notes whom it may have harmed."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tests.chaos.harness.host import Host
from tests.chaos.harness.network import Network
from tests.chaos.harness.processes import living, signal_all, trees
from tests.chaos.harness.record import Agent, Harm, Record, session_of
from tests.chaos.harness.schedule import Fault, Step
from tests.chaos.harness.servers import SERVERS, Servers

KILL_POINTS = (
    "admit.before", "admit.after", "place.after", "launch.prepare.after", "launch.tmux.before", "launch.tmux.after",
    "launch.run.before", "launch.run.after", "monitor.adopt.before", "monitor.adopt.after", "monitor.flush.before",
    "monitor.flush.after", "monitor.complete.before", "monitor.complete.after", "finish.capture.after",
    "finish.kill_session.after", "stop.signal.before", "stop.signal.after", "send.begin.after", "send.type.before",
    "send.type.after", "send.enter.after", "send.finish.after", "record.before", "record.after", "relay.publish.before",
    "relay.publish.after", "relay.mark.before", "relay.mark.after", "lease.renew.after",
)  # fmt: skip
"""Effects of running sessions at which a daemon dies; see stratavore/killpoints.py."""

_PATIENCE_SECONDS = 20.0
"""For which a fault waits for something to harm, amid the recovery from another one."""
_LEASE_SECONDS = 60.0
"""A lease that is not renewed ends some time after the last renewal; servers that are slow to come back add to that."""
_KEEPS_FROM_RENEWING = frozenset(Fault) - {
    Fault.KILL_TMUX,
    Fault.KILL_AGENT,
    Fault.KILL_WRAPPER,
    Fault.STOP_TMUX,
    Fault.STOP_AGENT,
    Fault.KILL_RABBITMQ,
    Fault.STOP_RABBITMQ,
}
_STARTING = ("starting", "recovering", "queued", "unreachable")
_HANGUP_SECONDS = 20.0
"""An agent that survives its terminal is asked to end, and has a grace of ten seconds."""


class Faults:
    """Each fault that was done is counted by its name; one without anything to harm is not."""

    def __init__(self, hosts: Sequence[Host], servers: Servers, networks: Sequence[Network], record: Record) -> None:
        """``networks``: of all hosts but the first, which has the servers."""
        self._hosts = hosts
        self._servers = servers
        self._networks = networks
        self._record = record
        self.counts: Counter[str] = Counter()
        self._stopped: set[int] = set()
        self._starts: list[asyncio.Task[None]] = []

    async def do(self, step: Step) -> str:
        """Do one, as soon as there is something to do it to. Returns what was done, for people."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (done := await self._try(step)) and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        return done

    async def _try(self, step: Step) -> str:
        began = time.time()
        match step.what:
            case Fault.KILL_DAEMON | Fault.KILL_POINT:
                done = await self._kill_daemon(step)
            case Fault.KILL_TEMPORAL | Fault.KILL_POSTGRES | Fault.KILL_RABBITMQ:
                done = self._kill_server(step.what.removeprefix("kill "))
            case Fault.KILL_TMUX:
                done = self._kill_tmux(step)
            case Fault.CUT_NETWORK | Fault.HOLD_NETWORK:
                done = await self._without_network(step)
            case Fault.KILL_AGENT | Fault.KILL_WRAPPER:
                done = self._kill_runner(step, "pid" if step.what is Fault.KILL_AGENT else "started")
            case Fault.KILL_SERVERS:
                pids = {one[0] for name in SERVERS if (one := self._servers.process(name))}
                done = await self._without_daemon(step, self._hosts[0], lambda: pids)
            case Fault.KILL_ALL | Fault.REBOOT:
                host = self._host(step)
                done = await self._without_daemon(step, host, host.everything, everybody=True)
            case _:
                done = await self._stop(step)
        if done:
            self.counts[step.what] += 1
        if done and step.what in _KEEPS_FROM_RENEWING:
            self._harm(began, f"{step.what}, so that leases run out", self._failing_over(), lasts=_LEASE_SECONDS)
        return done

    async def end(self) -> None:
        """Let everything go on that was stopped, and the daemon run."""
        signal_all(self._stopped, signal.SIGCONT)
        for task in self._starts:
            task.cancel()
        for host in self._hosts:
            host.up.set()

    async def _kill_daemon(self, step: Step) -> str:
        host = self._host(step)
        pid = host.pid
        if pid is None:
            return ""
        point = ""
        if step.what is Fault.KILL_POINT:
            point = KILL_POINTS[int(step.pick * len(KILL_POINTS))]
            host.arm(point)
        await self._without_daemon(step, host, lambda: {pid})
        return f"process {pid} on {host.name}" + (f", the next one dies at {point}" if point else "")

    async def _without_daemon(
        self, step: Step, host: Host, whom: Callable[[], set[int]], *, everybody: bool = False
    ) -> str:
        """Kill these and the host's daemon; it is started again after a while."""
        host.pull_down()
        began = time.time()
        there = self._sessions_on(host)
        pids = await asyncio.to_thread(whom) | _daemon(host)
        signal_all(pids, signal.SIGKILL)
        if everybody:
            # Once more: what was just being started.
            signal_all(await asyncio.to_thread(whom), signal.SIGKILL)
            self._harm(began, step.what, there | self._sessions_on(host) if len(self._hosts) > 1 else None)
        if step.what is Fault.REBOOT:
            host.boot()
        self._starts.append(asyncio.create_task(self._start_after(step.seconds, host, step.what)))
        return f"{len(pids)} processes on {host.name}"

    async def _start_after(self, seconds: float, host: Host, what: str) -> None:
        await asyncio.sleep(min(seconds, 3.0))
        host.up.set()
        started, pulled_down = time.time(), host.pulled_down
        while not await asyncio.to_thread(host.answers):
            await asyncio.sleep(0.1)
        if host.pulled_down == pulled_down:  # else it was killed again before it answered
            self._record.recoveries.append((f"daemon, {what}: start to answer", time.time() - started))

    def _kill_server(self, name: str) -> str:
        process = self._servers.process(name)
        if process is None:
            return ""
        signal_all([process[0]], signal.SIGKILL)
        self._starts.append(asyncio.create_task(self._server_back(name, process, time.time())))
        return f"process {process[0]}"

    async def _server_back(self, name: str, killed: Agent, began: float) -> None:
        while self._servers.process(name) in (None, killed):
            await asyncio.sleep(0.1)
        address = self._servers.url(name).rpartition("@")[2].rpartition("//")[2].partition("/")[0]
        host, _, port = address.partition(":")
        while True:
            try:
                _, writer = await asyncio.open_connection(host or "127.0.0.1", int(port))
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.1)
        self._record.recoveries.append((f"{name}: killed to listening", time.time() - began))

    def _kill_tmux(self, step: Step) -> str:
        servers = sorted(found for host in self._hosts for found in host.tmux().items())
        if not servers:
            return ""
        socket, pid = servers[int(step.pick * len(servers))]
        self._harm(time.time(), step.what, self._sessions_at(pid) | self._starting(), lasts=_HANGUP_SECONDS)
        signal_all([pid], signal.SIGKILL)
        return f"{socket}, process {pid}"

    def _kill_runner(self, step: Step, which: str) -> str:
        found = self._runners()
        if not found:
            return ""
        runner = found[int(step.pick * len(found))]
        process = self._process(runner, which)
        if process is None:
            return ""
        lasts = _HANGUP_SECONDS if step.what is Fault.KILL_WRAPPER else 0.0
        self._harm(time.time(), step.what, {session_of(runner)}, lasts=lasts)
        signal_all([process[0]], signal.SIGKILL)
        return f"{runner}, process {process[0]}"

    async def _stop(self, step: Step) -> str:
        """SIGSTOP, and SIGCONT after a while."""
        match step.what:
            case Fault.STOP_DAEMON | Fault.LOSE_HOST:
                pids = _daemon(self._host(step))
            case Fault.STOP_TMUX:
                servers = sorted(pid for host in self._hosts for pid in host.tmux().values())
                pids = {servers[int(step.pick * len(servers))]} if servers else set()
            case Fault.STOP_AGENT:
                found = self._runners()
                agent = self._process(found[int(step.pick * len(found))], "pid") if found else None
                pids = {agent[0]} if agent else set()
            case _:
                server = self._servers.process(step.what.removeprefix("stop "))
                pids = trees({server[0]}) if server else set()
        if not pids:
            return ""
        self._stopped |= pids
        signal_all(pids, signal.SIGSTOP)
        await asyncio.sleep(step.seconds)
        signal_all(pids, signal.SIGCONT)
        self._stopped -= pids
        return f"processes {sorted(pids)}, for {step.seconds:.1f} s"

    async def _without_network(self, step: Step) -> str:
        """Between the servers and a host that has none; its agents are none the wiser."""
        if not self._networks:
            return ""
        network = self._networks[int(step.where * len(self._networks))]
        if step.what is Fault.CUT_NETWORK:
            network.cut()
        else:
            network.hold()
        await asyncio.sleep(step.seconds)
        network.mend()
        return f"for {step.seconds:.1f} s"

    def _host(self, step: Step) -> Host:
        return self._hosts[int(step.where * len(self._hosts))]

    def _process(self, runner: str, which: str) -> Agent | None:
        """The living agent or wrapper of a runner, wherever it is."""
        return next((one for host in self._hosts if (one := host.runner_process(runner, which))), None)

    def _sessions_on(self, host: Host) -> set[str]:
        """Sessions whose agents live on a host, and those that may be about to."""
        there = {session_of(runner) for runner in self._runners() if host.runner_process(runner, "pid")}
        return there | self._starting()

    def _runners(self) -> list[str]:
        """Runners whose agents lived at the last look and live now."""
        return sorted(runner for runner, agent in self._record.samples[-1].agents.items() if living(agent))

    def _sessions_at(self, tmux: int) -> set[str]:
        """Sessions whose terminals belong to this tmux server."""
        pids = trees({tmux})
        return {
            session_of(runner)
            for runner in self._runners()
            if (agent := self._process(runner, "pid")) and agent[0] in pids
        }

    def _failing_over(self) -> set[str]:
        """Sessions whose agents end with their host's lease."""
        return {session.id for session in self._record.sessions.values() if session.failover}

    def _starting(self) -> set[str]:
        """Sessions that may be about to get a terminal, or have one since the last look."""
        last = self._record.samples[-1]
        if last.rows is None:  # nobody knows
            return set(self._record.sessions)
        return {
            session
            for session, row in last.rows.items()
            if row.state in _STARTING or (row.state == "running" and f"{session}.{row.generation}" not in last.agents)
        }

    def _harm(self, at: float, what: str, sessions: Iterable[str] | None, *, lasts: float = 0.0) -> None:
        touched = None if sessions is None else frozenset(sessions)
        self._record.harms.append(Harm(at, time.time() + lasts, what, touched))


def _daemon(host: Host) -> set[int]:
    return set() if host.pid is None else {host.pid}
