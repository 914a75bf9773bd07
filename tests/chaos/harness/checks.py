"""The promises, each a function of what was seen from outside. What it returns are violations, a sentence each."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from tests.chaos.harness.record import Answered, Record, Row, Sample, Session, session_of

SLACK_SECONDS = 5.0
"""After a fault or a command an agent may take so long to be gone, and a look comes so late."""
NOTICED_SECONDS = 60.0
"""Whatever is broken at once: so long a session is shown as running at most that does not run."""
WRITTEN_SECONDS = 15.0
"""An agent that lives this long after a reply was sent whole has written it down."""


def meant(record: Record) -> Iterator[str]:
    """Running sessions run, paused are paused, ended are ended, queued wait because there is no room."""
    if record.unsettled:
        yield f"it did not come to rest: {record.unsettled}"
    if record.last.rows is None:
        yield "Postgres did not answer at the end, so that nobody knows what became of the sessions"
        return
    for session in record.sessions.values():
        row = record.last.rows.get(session.id)
        state = row.state if row else "missing"
        if state not in _ALLOWED[session.meant]:
            yield f"session {session.id} is {state}, and was meant to be {session.meant}"


_ALLOWED = {
    "running": {"running", "queued"},
    "paused": {"paused"},
    "ended": {"ended"},
    "unsure": {"running", "queued", "paused", "ended"},
}


def line(record: Record) -> Iterator[str]:
    """Who waits is served in order within its project, keeps its place, and waits only where there is no room."""
    for before, after in pairwise(_with_rows(record)):
        assert before.rows is not None
        assert after.rows is not None
        for session, row in before.rows.items():
            now = after.rows.get(session)
            moved = row.granted is False and now and now.granted is False and now.ticket != row.ticket
            # Paused and resumed between two looks it stands at the end.
            if now and moved and session not in _touched(record, before.at, after.at):
                yield f"session {session} lost its place in the line: ticket {row.ticket} became {now.ticket}"
            if row.granted is not False or not now or now.granted is not False or now.ticket != row.ticket:
                continue
            for other, later in after.rows.items():
                was = before.rows.get(other)
                overtook = later.granted and (was is None or not was.granted)
                if overtook and later.project == row.project and (later.ticket or 0) > (row.ticket or 0):
                    yield f"session {other} was let in before {session}, which came first"
    rows = record.last.rows or {}
    for project in {row.project for row in rows.values() if row.granted is False}:
        if _granted(rows, project) < _limit(record, project) and _granted(rows) < _limit(record, ""):
            yield f"sessions wait in project {project}, and there is room"


def conversation(record: Record) -> Iterator[str]:
    """The last request of a session carries all its turns: prompts that were taken, replies that were written down."""
    rows = record.last.rows or {}
    for session in record.sessions.values():
        if not session.talks or not _runs(rows, session):
            continue
        texts = record.last_requests.get(session.id)
        if texts is None:
            yield f"session {session.id} did not ask for a reply at the end"
            continue
        if session.id in record.failed_over:
            continue
        said = "\n".join(texts)
        for prompt in session.prompts:
            if prompt.taken and prompt.text not in said:
                yield f"session {session.id} lost the prompt {prompt.text!r}, which was taken, or noted for later"
        kept = [one.text for one in record.replies if one.session == session.id and one.id in record.transcripts]
        places = [said.find(text) for text in kept[:-1]]  # the last one answers the last request
        yield from (
            f"session {session.id} lost the reply {text!r}"
            for text, place in zip(kept[:-1], places, strict=True)
            if place < 0
        )
        if places != sorted(places) and min(places) >= 0:
            yield f"session {session.id} has its replies in another order"
    for id_, kept_lines in record.notes.items():
        for prompt in record.sessions[id_].prompts:
            if kept_lines.count(prompt.text) > 1:
                yield f"session {id_} was told {prompt.text!r} {kept_lines.count(prompt.text)} times"


def unharmed(record: Record) -> Iterator[str]:
    """Agents live on through faults elsewhere, with the same pid.

    A machine that stalls for longer than a lease lasts is lost without a fault: its failing-over agents are fenced.
    """
    for before, after in pairwise(record.samples):
        if before.agents is after.agents:
            continue
        for runner, agent in before.agents.items():
            if after.agents.get(runner) == agent or _fenced(record, runner):
                continue
            if not _covered(record, session_of(runner), before.at, after.read):
                yield f"the agent of runner {runner} (pid {agent[0]}) was gone at {after.at:.2f}, and nobody touched it"


def single(record: Record) -> Iterator[str]:
    """At most one live runner for a session, at every look; no process is left of a runner that is over."""
    for first, second in sorted({pair for sample in record.samples for pair in sample.doubled}):
        yield f"runners {first} and {second} lived at the same time"
    for orphan in record.orphans:
        yield f"a process was left: {orphan}"


def ledger(record: Record) -> Iterator[str]:
    """Every reply that an agent finished is counted once, to the token, and nothing else is."""
    sent = {one.id: one for one in record.replies}
    for id_, usage in record.ledger.items():
        if id_ not in sent:
            yield f"reply {id_} is counted, and was never sent"
        elif dict(usage) != dict(sent[id_].usage):
            yield f"reply {id_} is counted as {dict(usage)}, and was sent with {dict(sent[id_].usage)}"
    for id_ in record.transcripts.keys() - record.ledger.keys():
        yield f"reply {id_} is in a transcript, and not counted"
    for one in sent.values():
        if one.finished and one.id not in record.transcripts and one.id not in {cut.id for cut in cut_replies(record)}:
            yield f"reply {one.id} was sent whole to session {one.session}, which lived on and has it in no transcript"


def cut_replies(record: Record) -> list[Answered]:
    """Replies that no agent wrote down, because it was gone before their end or just after it."""
    return [
        one
        for one in record.replies
        if one.id not in record.transcripts
        and (not one.finished or _covered(record, one.session, one.at, one.at + WRITTEN_SECONDS))
    ]


def events(record: Record) -> Iterator[str]:
    """Every committed event was received, in order within its session once repetitions are dropped."""
    received: dict[str, tuple[str | None, int]] = {}
    latest: dict[str, int] = defaultdict(int)
    for event in record.received:
        if event.id in received:
            if received[event.id] != (event.session, event.sequence):
                yield f"event {event.id} was received twice with different content"
            continue
        received[event.id] = (event.session, event.sequence)
        if event.session is not None:
            if event.sequence < latest[event.session]:
                yield (f"event {event.sequence} of session {event.session} was received after {latest[event.session]}")
            latest[event.session] = max(latest[event.session], event.sequence)
    places: dict[tuple[str, int], str] = {}
    for id_, (session, sequence) in received.items():
        if session is not None and places.setdefault((session, sequence), id_) != id_:
            yield f"event {sequence} of session {session} was received under two ids"
    committed = {event.id for event in record.committed}
    for event in record.committed:
        if event.id not in received:
            yield f"event {event.id} (session {event.session}, {event.sequence}) was committed and never received"
    for id_ in received.keys() - committed:
        yield f"event {id_} was received and never committed"


def slots(record: Record) -> Iterator[str]:
    """No limit is overshot: by slots in Postgres, and by agents in the process table, at every look."""
    projects = {session.id: session.project for session in record.sessions.values()}
    for sample in record.samples:
        living: dict[str, int] = defaultdict(int)
        for session in {session_of(runner) for runner in sample.agents}:
            living[projects.get(session, "")] += 1
        for project, limit in record.limits.items():
            agents = living[project] if project else sum(living.values())
            if agents > limit:
                yield f"at {sample.at:.2f} {agents} agents lived in {_named(project)}, whose limit is {limit}"
            if sample.rows is not None and (held := _granted(sample.rows, project or None)) > limit:
                yield f"at {sample.at:.2f} {held} slots were held in {_named(project)}, whose limit is {limit}"


def shown(record: Record) -> Iterator[str]:
    """What is shown is so, soon.

    At rest who is running has a process, with the pid that is shown; nobody else has one. Amid faults no session
    is shown as running for long without a process.
    """
    for session, seconds in ghosts(record).items():
        if seconds > NOTICED_SECONDS:
            yield f"session {session} was shown as running for {seconds:.0f} s without a process"
    rows, agents = record.last.rows, record.last.agents
    if rows is None:
        yield "Postgres did not answer at the end, so that nothing is shown"
        return
    for session, row in rows.items():
        agent = agents.get(f"{session}.{row.generation}")
        if row.state == "running" and agent is None:
            yield f"session {session} is shown as running, and has no process"
        elif row.state == "running" and agent is not None and agent[0] != row.pid:
            yield f"session {session} is shown with process {row.pid}, and has {agent[0]}"
        elif row.state != "running" and agent is not None:
            yield f"session {session} is shown as {row.state}, and process {agent[0]} lives"
    for runner in agents:
        if session_of(runner) not in rows:
            yield f"runner {runner} lives, and no session is shown for it"


def ghosts(record: Record) -> dict[str, float]:
    """For how many seconds at most each session was shown as running while its process was not there."""
    longest: dict[str, float] = defaultdict(float)
    since: dict[str, float] = {}
    for sample in record.samples:
        if sample.rows is None:  # nothing is shown
            since.clear()
            continue
        lying = {
            session
            for session, row in sample.rows.items()
            if row.state == "running" and f"{session}.{row.generation}" not in sample.agents
        }
        since = {session: since.get(session, sample.at) for session in lying}
        for session, begin in since.items():
            longest[session] = max(longest[session], sample.at - begin)
    return longest


CHECKS: Mapping[str, Callable[[Record], Iterator[str]]] = {
    "sessions are as they were meant to be": meant,
    "the line is served in order": line,
    "conversations are whole": conversation,
    "healthy agents were not harmed": unharmed,
    "one live runner a session, no orphan": single,
    "every token is counted once": ledger,
    "every event was delivered, in order": events,
    "no limit was overshot": slots,
    "what is shown is so": shown,
}


def check(record: Record) -> dict[str, list[str]]:
    """All violations, by promise."""
    return {promise: list(one(record)) for promise, one in CHECKS.items()}


def _with_rows(record: Record) -> list[Sample]:
    return [sample for sample in record.samples if sample.rows is not None]


def _touched(record: Record, begin: float, end: float) -> set[str]:
    """Sessions that a command or fault of their own concerned meanwhile."""
    return {
        session
        for harm in record.harms
        if harm.sessions is not None and harm.at - SLACK_SECONDS <= end and harm.until + SLACK_SECONDS >= begin
        for session in harm.sessions
    }


def _covered(record: Record, session: str, begin: float, end: float) -> bool:
    """Whether a fault or a command may have ended the session's agent between two moments."""
    return any(
        harm.at <= end and harm.until + SLACK_SECONDS >= begin
        for harm in record.harms
        if harm.sessions is None or session in harm.sessions
    )


def _fenced(record: Record, runner: str) -> bool:
    """Whether its host's lease ended the agent of a session that goes on elsewhere then."""
    session = record.sessions.get(session_of(runner))
    return runner in record.fenced and session is not None and session.failover


def _granted(rows: Mapping[str, Row], project: str | None = None) -> int:
    return sum(1 for row in rows.values() if row.granted and project in (None, row.project))


def _limit(record: Record, project: str) -> float:
    return record.limits.get(project, float("inf"))


def _named(project: str) -> str:
    return f"project {project}" if project else "all projects together"


def _runs(rows: Mapping[str, Row], session: Session) -> bool:
    row = rows.get(session.id)
    return row is not None and row.state == "running"
