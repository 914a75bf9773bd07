"""``python -m tests.chaos.harness [--seconds N] [--seed N] [--sessions N] [--hosts N] [--real N] [--plan]``."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from stratavore import naming
from tests.chaos.harness.checks import check
from tests.chaos.harness.report import keep, lines
from tests.chaos.harness.run import Run
from tests.chaos.harness.schedule import Fault, plan
from tests.support import servers


def main() -> int:
    """Run, check, report. Exit code 1: a promise was broken."""
    given = _arguments()
    logging.disable()  # the client of RabbitMQ tells of each server that was killed
    steps = plan(given.seed, given.seconds, given.sessions, given.hosts)
    if given.plan:
        print("\n".join(map(str, steps)))
        return 0
    print(
        f"Chaos: seed {given.seed}, {given.seconds:.0f} s, {given.sessions} sessions ({given.real} of Claude Code)"
        f" on {naming.plural(given.hosts, 'host')}"
    )
    with servers.guarded_directory() as directory:
        run = Run([servers.new_home(directory) for _ in range(given.hosts)], steps, given.seed, _say)
        broken = ""
        try:
            record = asyncio.run(run.through(given.sessions, given.real))
        except Exception as error:
            broken, record = repr(error), run.record
        violations = check(record) if record.samples else {}
        undone = {step.what for step in steps if isinstance(step.what, Fault)} - record.counts.keys()
        violations["the run itself"] = [broken] if broken else [f"'{one}' was never done" for one in sorted(undone)]
        report = "\n".join(lines(record, violations))
        print(f"\n{report}")
        failed = any(violations.values())
        if failed:
            evidence = Path(given.evidence or tempfile.mkdtemp(prefix="stratavore-chaos-"))
            evidence.mkdir(parents=True, exist_ok=True)
            keep(evidence, record, steps, run.done, report)
            asyncio.run(run.keep(evidence))
            again = (
                f"make chaos SECONDS={given.seconds:.0f} SEED={given.seed} SESSIONS={given.sessions}"
                f" HOSTS={given.hosts} REAL={given.real}"
            )
            print(f"\nEvidence is kept in {evidence}. The same plan again: {again}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.harness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long faults are done")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the plan")
    parser.add_argument("--sessions", type=int, default=12, help="sessions to begin with")
    parser.add_argument("--hosts", type=int, default=2, help="how many hosts; the first has the servers")
    parser.add_argument("--real", type=int, default=2, help="how many of them are of the real Claude Code")
    parser.add_argument("--plan", action="store_true", help="print the plan, and do nothing")
    parser.add_argument("--evidence", help="where to keep what tells of a failure; else a new directory")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
