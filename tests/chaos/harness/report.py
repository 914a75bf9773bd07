"""What a run says at its end, and what it keeps when a promise was broken."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.chaos.harness.checks import cut_replies, ghosts
from tests.chaos.harness.processes import started_at
from tests.chaos.harness.record import Record, as_json, session_of
from tests.chaos.harness.schedule import Step

_SHOWN = 10
"""Violations of one promise that are printed; all are kept."""


def lines(record: Record, violations: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The report."""
    yield "Done to processes of the run:"
    for what, times in sorted(record.counts.items()):
        yield f"  {what:<28}{times:>5}"
    yield ""
    yield "Recovery, in seconds:               times     p50     p99     max"
    for what, seconds in sorted(recoveries(record).items()):
        yield (
            f"  {what:<32}{len(seconds):>7}"
            f"{percentile(seconds, 50):>8.2f}{percentile(seconds, 99):>8.2f}{max(seconds):>8.2f}"
        )
    yield ""
    finished = [one for one in record.replies if one.finished]
    cut = cut_replies(record)
    answered = sum(sample.rows is not None for sample in record.samples)
    yield f"Looks: {len(record.samples)}, Postgres answered {answered} of them"
    unsure = sum(session.meant == "unsure" for session in record.sessions.values())
    yield f"Sessions: {len(record.sessions)}, {unsure} of them unsure: nobody knows whether a command was heard"
    failing = sum(session.failover for session in record.sessions.values())
    yield f"Sessions that do not wait for a lost host: {failing}, {len(record.failed_over)} of them lost one"
    yield f"Replies: {len(record.replies)} asked for, {len(finished)} sent whole, {len(record.ledger)} counted"
    yield f"Tokens counted: {sum(sum(usage.values()) for usage in record.ledger.values())}"
    yield f"Replies cut by the death of their agents, and so not counted: {len(cut)}"
    longest = max(ghosts(record).values(), default=0.0)
    yield f"Longest that a session was shown as running without a process: {longest:.1f} s"
    repeated = len(record.received) - len({event.id for event in record.received})
    yield f"Events: {len(record.committed)} committed, {len(record.received)} received, {repeated} of them again"
    yield ""
    for promise, found in violations.items():
        yield f"{'FAILED' if found else 'kept  '}  {promise}" + (f": {len(found)} violations" if found else "")
        yield from (f"          {one}" for one in found[:_SHOWN])


def recoveries(record: Record) -> dict[str, list[float]]:
    """Seconds until something was back, by what it was."""
    found = defaultdict(list)
    for what, seconds in record.recoveries:
        found[what].append(seconds)
    for seconds in _relaunches(record):
        found["agent: death to new process"].append(seconds)
    return dict(found)


def _relaunches(record: Record) -> Iterator[float]:
    """From the look that saw an agent last to the start of the session's next program; commands are left out."""
    seen: dict[str, tuple[str, float]] = {}
    before = None
    for sample in record.samples:
        if before is not None and sample.agents is before:
            for runner in sample.agents:
                seen[session_of(runner)] = (runner, sample.at)
            continue
        for runner, agent in sample.agents.items():
            session = session_of(runner)
            last = seen.get(session)
            if last is not None and last[0] != runner and not _commanded(record, session, last[1], sample.at):
                yield max(0.0, started_at(agent) - last[1])
            seen[session] = (runner, sample.at)
        before = sample.agents


def _commanded(record: Record, session: str, begin: float, end: float) -> bool:
    commands = ("pause", "restart", "kill", "move")
    return any(
        harm.at <= end and harm.until >= begin
        for harm in record.harms
        if harm.what in commands and harm.sessions and session in harm.sessions
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100).__int__() - 1))]


def keep(directory: Path, record: Record, steps: Sequence[Step], done: Sequence[str], report: str) -> None:
    """Write what tells how it came."""
    (directory / "plan").write_text("".join(f"{step}\n" for step in steps))
    (directory / "done").write_text("".join(f"{line}\n" for line in done))
    (directory / "report").write_text(report)
    (directory / "record.json").write_text(json.dumps(as_json(record), indent=1))
    with (directory / "samples.jsonl").open("w") as file:
        before = None
        for sample in record.samples:
            if before is None or (sample.agents, sample.rows, sample.doubled) != before:
                rows = {key: vars(row) for key, row in sample.rows.items()} if sample.rows is not None else None
                one = {"at": sample.at, "agents": sample.agents, "doubled": sample.doubled, "rows": rows}
                file.write(json.dumps(one) + "\n")
            before = (sample.agents, sample.rows, sample.doubled)
