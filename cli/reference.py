"""``docs/cli.md``, written from the commands themselves: ``python -m cli.reference > docs/cli.md``."""

import re
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

from cli import (
    budget,
    config,
    daemon,
    events,
    headless,
    health,
    host,
    hosts,
    project,
    projects,
    quotas,
    reconcile,
    resources,
    runner,
    runners,
    schedule,
    search,
    session,
    sessions,
    setup,
    status,
    story,
    tokens,
    transcript,
    trials,
    version,
)
from cli.main import COMMANDS, EXIT_INTERRUPTED, command
from stratavore import errors
from stratavore.exports import COLUMNS
from stratavore.models.findings import DifferenceKind, Outcome, PartState
from stratavore.models.states import Activity, ExitKind, RunnerStatus, SessionState

INTRODUCTION = """\
# The command line

<!-- Written by `python -m cli.reference > docs/cli.md`; a test compares. -->

```
stratavore COMMAND | PROJECT
```

A **project** is a directory with a name. In it run **sessions**: each is one conversation with an agent, and outlives
terminals, crashes and reboots. A **runner** is one run of the agent's process for a session; when it dies, the session
gets the next one. `stratavore PROJECT` is all that one needs on most days.

A **TARGET** is a session's id, a runner's id (`<session>.<generation>`), the beginning of one as long as only one
session has it, or a project: for commands to one session its newest live session, for `pause`, `resume`, `restart` and
`kill` all of its live ones.

**Without a daemon** commands work as long as the servers do: they go straight to Postgres and Temporal, say so, and
what was asked for waits there until a daemon is back. A daemon that says nothing for 5 seconds counts as away. Only
`daemon status` and `events subscribe` need one; `restore` needs that there is none.

**`stratavore --config FILE COMMAND`** uses another configuration file; `docs/configuration.md` describes all settings.

**For programs** there is `--format json` or `yaml`, with the keys below. Results go to standard output, everything else
to standard error. No question is asked when the input or the output is not a terminal.
"""

EXIT_CODES = {
    0: "Done.",
    errors.EXIT_FAILED: "It failed in another way than those below, or a question was answered with no; "
    "`health` found a problem, or after `reconcile` a difference remains.",
    errors.EXIT_USAGE: "What was typed is wrong: an option, a name, a value, a directory, a setting.",
    errors.EXIT_NOT_FOUND: "Nothing is called so, or several are.",
    errors.EXIT_UNAVAILABLE: "The daemon, a server, a program that it needs, a mount or room on the disk is "
    "missing; or the daemon is of another version.",
    errors.EXIT_REFUSED: "It cannot be done with things as they are: a session in another state, a name that is taken.",
    errors.EXIT_AGENT_FAILED: "The agent's program was not found, or ended at once; its last lines are shown. "
    "After `launch --print` it is the agent's own exit code that counts; this one, if it had none.",
    errors.EXIT_TIMEOUT: "It takes longer than a command waits. It goes on by itself.",
    EXIT_INTERRUPTED: "Ctrl-C. What was asked for already goes on, but for `launch --print`, which ends its session.",
}

ENVIRONMENT = {
    "STRATAVORE_HOME": "The state directory, which names one Stratavore of several on a machine. Else "
    "`$XDG_STATE_HOME/stratavore`, else `~/.local/state/stratavore`.",
    "STRATAVORE_CONFIG": "The configuration file, as `--config` names it. `docs/configuration.md` has the variables of "
    "single settings.",
    "NO_COLOR": "If it is set, there are no colours.",
    "FORCE_COLOR": "If it is set, and NO_COLOR is not, there are colours in a pipe and in a file too; so with "
    "`CLICOLOR_FORCE`.",
    "TERM": "With `dumb` there are no colours, no lines that tell of progress and no screen that is drawn anew.",
    "STRATAVORE_DEBUG": "If it is set, a fault of the program itself is shown whole.",
}


def _either(choices: type[StrEnum]) -> str:
    *first, last = (f"`{one}`" for one in choices)
    return f"{', '.join(first)} or {last}"


TYPES = {
    "Session": sessions.KEYS,
    "Details": session.KEYS,
    "Usage": session.USAGE_KEYS,
    "Transcript": session.TRANSCRIPT_KEYS,
    "Entry": transcript.KEYS,
    "Match": search.KEYS,
    "Spent": tokens.KEYS,
    "Used": COLUMNS,
    "Resources": resources.KEYS,
    "Host": hosts.KEYS,
    "Abode": host.KEYS,
    "Forgotten": host.DELETED_KEYS,
    "Machine": hosts.MACHINE_KEYS,
    "Share": resources.PROJECT_KEYS,
    "Versions": version.KEYS,
    "Runner": runners.KEYS,
    "Run": runner.RUN_KEYS,
    "Process": runner.KEYS,
    "Happening": story.KEYS,
    "Project": projects.KEYS,
    "Overall": project.KEYS,
    "Deleted": project.DELETED_KEYS,
    "Event": events.KEYS,
    "Revived": events.REVIVED_KEYS,
    "Limit": quotas.KEYS,
    "Budget": budget.KEYS,
    "Charged": budget.HISTORY_KEYS,
    "Schedule": schedule.KEYS,
    "Unscheduled": schedule.DELETED_KEYS,
    "Status": status.KEYS,
    "Health": health.KEYS,
    "Part": health.PART_KEYS,
    "Reconciliation": reconcile.KEYS,
    "Difference": reconcile.DIFFERENCE_KEYS,
    "Daemon": daemon.KEYS,
    "Server": daemon.SERVER_KEYS,
    "Step": setup.KEYS,
    "Check": trials.KEYS,
    "Answer": headless.KEYS,
    "Setting": config.KEYS,
}
"""What there is in results, with its keys."""

RESULTS = {
    "new": "Project",
    "launch": "list of Session; with --print Answer, and for jsonl the lines that the agent writes",
    "pause": "list of Session",
    "resume": "list of Session",
    "restart": "list of Session",
    "move": "list of Session",
    "kill": "list of Session",
    "tokens show": "list of Spent",
    "tokens export": "list of Used; for csv the same in lines, with a header of these keys",
    "resources": "Resources",
    "version": "Versions",
    "status": "Status",
    "projects list": "list of Project",
    "projects show": "Overall",
    "projects delete": "Deleted",
    "sessions list": "list of Session",
    "sessions show": "Details",
    "transcript": "Entry, one a line; for jsonl the lines that the agent wrote",
    "search": "list of Match",
    "runners list": "list of Runner",
    "runners show": "Process",
    "hosts list": "list of Host",
    "hosts show": "Abode",
    "hosts drain": "Abode",
    "hosts undrain": "Abode",
    "hosts delete": "Forgotten",
    "events list": "list of Event",
    "events subscribe": "stream of Event, one a line (in YAML one a document)",
    "events revive": "Revived",
    "quotas show": "list of Limit",
    "quotas set": "list of Limit",
    "quotas unset": "list of Limit",
    "budget show": "list of Budget",
    "budget set": "list of Budget",
    "budget unset": "list of Budget",
    "budget reset": "list of Budget",
    "budget history": "list of Charged",
    "approve": "list of Budget",
    "schedule create": "list of Schedule",
    "schedule list": "list of Schedule",
    "schedule pause": "list of Schedule",
    "schedule resume": "list of Schedule",
    "schedule run": "list of Schedule",
    "schedule delete": "Unscheduled",
    "setup": "list of Step",
    "test": "list of Check",
    "health": "Health",
    "reconcile": "Reconciliation",
    "daemon status": "Daemon",
    "config show": "list of Setting",
}
"""What ``--format json`` prints, by command."""

KEYS = {
    "Answer.exit_code": "the agent's; 6 if it has none",
    "Answer.result": "what the agent says at its end; besides it whatever else the agent tells a program",
    "Budget.budget_id": "its own",
    "Budget.unit": "`tokens` or `usd`",
    "Budget.period": "`hourly`, `daily`, `weekly` or `monthly`",
    "Budget.timezone": "whose clock its periods follow",
    "Charged.unit": "`tokens` or `usd`",
    "Charged.period": "`hourly`, `daily`, `weekly` or `monthly`",
    "Charged.starts_at": "when that period began",
    "Charged.ends_at": "when it ended, or will end",
    "Budget.action": "what happens at its end: `warn`, `pause`, `ask` or `terminate`",
    "Budget.amount": "in its unit, for each period",
    "Budget.ends_at": "when the present period ends",
    "Budget.extra": "that was approved in this period, or given back by a reset",
    "Budget.held": "how many sessions wait for it",
    "Budget.grace_s": "seconds that a turn under way may go on at its end",
    "Budget.project": "whose it is, or whose session's; null: of everything",
    "Budget.reached_at": "when it was used up; null: it was not",
    "Budget.scope": "`global`, `project` or `session`",
    "Budget.starts_at": "when the present period began",
    "Budget.session_id": "whose it is; null: no session's",
    "Budget.used": "in the present period, in its unit",
    "Budget.used_up": "whether it holds sessions, or ends them, unless its action is `warn`",
    "Budget.warn_at": "the share of it at which an event warns",
    "Budget.warned_at": "when it warned; null: it did not",
    "Charged.amount": "the budget as it was then, in its unit",
    "Charged.extra": "that was approved, or given back by a reset",
    "Charged.project": "whose it is, or whose session's; null: of everything",
    "Charged.reached_at": "when it was used up; null: it was not",
    "Charged.scope": "`global`, `project` or `session`",
    "Charged.session_id": "whose it is; null: no session's",
    "Charged.used": "in that period, in its unit",
    "Charged.warned_at": "when it warned; null: it did not",
    "Schedule.schedule_id": "its own; another one of the name has another",
    "Schedule.cron": "when, in the fields of cron",
    "Schedule.timezone": "whose clock it follows",
    "Schedule.overlap": "if its last session has not ended: `skip`, `buffer`, `allow` or `replace`",
    "Schedule.host": "whose daemon prepares its launches",
    "Schedule.interactive": "its sessions have a terminal",
    "Schedule.paused": "it rests",
    "Schedule.next_at": "when it launches next; null: it is paused, or its time never comes again",
    "Schedule.last_at": "when it launched last; null: it never did",
    "Schedule.last_session_id": "the session of that; null: there was none",
    "Schedule.last_state": "the state of that session; null: there is no such session (yet)",
    "Schedule.last_failure": "why the last launch came to nothing; null: it did not",
    "Schedule.buffered": "launches that are due, and wait for the end of the last session",
    "Schedule.skipped": "times that were left out because the last session had not ended",
    "Schedule.missed": "times that were missed, and too long ago to be made up for",
    "Unscheduled.deleted": "false if somebody else had done it",
    "Status.limits": "quotas that are set: a list of Limit",
    "Status.budgets": "budgets in their present periods: a list of Budget",
    "Check.detail": "what was found, or one sentence that says what is wrong",
    "Deleted.deleted": "false if somebody else had done it",
    "Session.since": "since when it is without its agent, if it recovers or cannot be reached; else null",
    "Details.since": "since when it is without its agent, if it recovers or cannot be reached; else null",
    "Project.host": "the only host that its sessions run on, unless they are launched for another; null: any",
    "Overall.host": "the only host that its sessions run on, unless they are launched for another; null: any",
    "Overall.limits": "of all projects and of this one: a list of Limit",
    "Overall.sessions": "how many are in which state, ended ones too",
    "Difference.kind": f"{_either(DifferenceKind)}; see `docs/architecture.md`",
    "Difference.project": "the project's name; null if it is not known",
    "Difference.session_id": "the session; null if Postgres has none",
    "Difference.what": "the difference, in a sentence",
    "Abode.sessions": "those that live there: a list of Session",
    "Abode.since": "since when it is up, or away",
    "Revived.revived": "so many events that RabbitMQ refused are sent again",
    "Forgotten.sessions": "the ids of those that go on elsewhere",
    "Forgotten.schedules": "the names of those that were to launch there, and wait",
    "Host.since": "since when it is up, or away",
    "Host.cpu_percent": "of one processor, by all its runners, when they were measured last",
    "Host.machine": "what it has, a Machine, as it was measured last",
    "Host.memory_mb": "of all its runners, in MiB",
    "Host.runners": "how many it has",
    "Machine.disk_free_mb": "how much of it is free, in MiB",
    "Machine.disk_mb": "the size of the file system that holds the state directory, in MiB",
    "Machine.load": "how many programs run or want to, over the last minute",
    "Machine.memory_available_mb": "how much of it can be had, in MiB",
    "Machine.memory_mb": "its memory, in MiB",
    "Machine.processors": "how many the daemon may use",
    "Resources.hosts": "all hosts: a list of Host",
    "Resources.projects": "those with runners, the most memory first: a list of Share",
    "Share.cpu_percent": "of one processor, by all its runners, when they were measured last",
    "Share.memory_mb": "of all its runners, in MiB",
    "Share.runners": "how many it has",
    "Spent.key": "the project, session, model, or day of UTC; null: a model that nobody named",
    "Spent.project": "of a session, its project; else null",
    "Used.day": "of UTC",
    "Used.model": "null, or empty in CSV: a model that nobody named",
    "Used.cost_usd": "US dollars, as text: an exact decimal; null, or empty in CSV, when no price is known",
    "Versions.client": "of the program `stratavore`",
    "Versions.daemon": "of the daemon; null if none answers",
    "Versions.servers": "of `temporal`, `postgres`, `pgvector` and `rabbitmq`; null of one that does not say",
    "Event.project": "the project's name; empty for what concerns none",
    "Event.session_id": "the session; null for what concerns none",
    "Limit.name": "what is limited: `max_concurrent_runners`, `max_memory_mb` or `max_tokens_per_day`",
    "Limit.project": "the project's name; null for all of them",
    "Limit.source": "what set it, `configuration of host …`; null if a person did, or nobody",
    "Part.detail": "what was found, with its figures",
    "Part.hint": "the way out; empty if all is well",
    "Part.name": "what was looked at",
    "Part.state": f"{_either(PartState)}; only a problem makes the system unhealthy",
    "Runner.generation": "counts the runners of the session, from 1",
    "Setting.key": "section and name, with a point between",
    "Setting.value": "passwords and keys in it are `****`; null if it is unset",
    "Setting.source": "`FILE:LINE`, the name of a variable, or `default`",
    "Setting.variable": "the environment variable that overrides it",
    "Server.name": "`temporal`, `postgres`, `rabbitmq`, or `metrics`, which the daemon itself serves",
    "Server.state": "`running`, `starting`, `missing`, `stopped`, or `external`: somebody else keeps it",
    "Check.ms": "how long it took, in milliseconds",
    "Check.ok": "whether it works",
    "Check.server": "`database`, `messaging`, `temporal` or `api`",
    "Step.detail": "what there is, or one sentence that says what is wrong",
    "Step.server": "`database`, `messaging` or `temporal`",
    "Step.state": "`found`, `made`, `to make` (with `--dry-run`) or `failed`",
    "check": "what was tried",
    "what": "what the server needs",
    "Details.runners": "all of them, the last one last: a list of Run",
    "Details.story": "what became of it, the first first, without what its agent did from moment to moment: a list of "
    "Happening",
    "Happening.after_s": "of a runner's end how long it had lived, of a start how long the session had been "
    "without one; else null",
    "Happening.at": "when it happened",
    "Happening.detail": "why, or how",
    "Happening.generation": "of which runner; null for the session as a whole",
    "Happening.what": "`created`, `queued`, `started`, `asks`, `stopped`, `failed`, `paused`, `parked`, `unreachable`, "
    "`reachable` or `ended`",
    "Entry.role": "`user`, `assistant`, or `tool`: the use of one, in one line",
    "Entry.subagent": "the file of another agent that the session's started; null for its own",
    "Entry.text": "what was said",
    "Match.at": "when it was said",
    "Match.role": "who said it: `user` or `assistant`",
    "Transcript.name": "of its file",
    "Transcript.path": "its file, on the session's host",
    "action": "what is done about it, or what a person can do",
    "activities": "how many running sessions do what",
    "activity": f"{_either(Activity)}; `waiting`: it asks a person something",
    "address": "host and port; empty if there is none",
    "agent": "which agent runs",
    "bound_to": "the only host that it runs on; null: any",
    "agent_session_id": "the agent's own id of the conversation",
    "argv": "the program that runs, with its arguments",
    "cpu_percent": "of one processor, by all its processes, when it was measured last",
    "cost_usd": "US dollars; null when nothing with a known price was used",
    "at": "when it was said",
    "bytes": "how much of it is stored",
    "cache_creation_tokens": "tokens written to the provider's cache",
    "cache_read_tokens": "tokens read from it",
    "created_at": "when it was created",
    "data": "what is particular to its type",
    "directory": "of its files, on its host",
    "draining": "no new runner is placed there",
    "lease_s": "seconds until its lease runs out; below 0: since it did",
    "machine": "what it has, a Machine, as it was measured last",
    "runners": "how many it has",
    "up": "its daemon says that it lives, and has found its runners",
    "differences": "what differs: a list of Difference",
    "directories": "others that its agents may work in",
    "detail": "what is wrong, or what to do",
    "dry_run": "nothing was changed, as asked",
    "ended_at": "when it ended; null while it lives",
    "events_undelivered": "events that wait for RabbitMQ",
    "exit_code": "of the agent; null if there is none",
    "exit_kind": f"{_either(ExitKind)}; null while it lives",
    "exit_reason": "why it ended",
    "excerpt": "the words around what was found",
    "figures": "the same for programs: times in seconds (`_s`) or milliseconds (`_ms`), sizes as their names say",
    "generation": "number of the current or last runner, from 1; 0 before the first",
    "health": "what looks wrong without being so for sure: a list of sentences",
    "healthy": "nothing is a problem",
    "host": "the machine",
    "input_tokens": "tokens that were read, without those of caches",
    "id": "the event's id; who sees it twice was told twice",
    "last_lines": "what it wrote last, before it ended",
    "log": "the file of all that it wrote to its terminal",
    "limit": "the most that may be used; null: there is no limit",
    "live": "the sessions that have not ended: a list of Session",
    "live_sessions": "how many have not ended",
    "mcp_config": "files that name servers of the Model Context Protocol",
    "memory_mb": "of all its processes, in MiB",
    "message_id": "the agent's own id of the message",
    "model": "the agent's model; null: its own choice",
    "name": "what it is called",
    "outcome": _either(Outcome),
    "output_tokens": "tokens that the model wrote",
    "parts": "what was looked at: a list of Part",
    "path": "its directory",
    "failover": "when its host is lost: `wait` for it, or go on on another one, `auto`",
    "permission_mode": "what the agent may do unasked; null: its own choice",
    "pid": "the process",
    "position": "place in the waiting line, from 1; null when it does not wait",
    "project": "the project's name",
    "projects": "how many there are",
    "question": "what its agent asks a person; null when it does not wait",
    "rank": "how well it matches; more is better",
    "reason": "why it is in its state",
    "replies": "how many there were",
    "reply": "its agent's last words of the last turn that ended",
    "runner_id": "`<session_id>.<generation>`",
    "running": "how many run now",
    "scope": "`global` or `project`",
    "sequence": "orders the events of one session, without gaps",
    "servers": "what the daemon works with: a list of Server",
    "session_id": "the session",
    "sessions": "how many are in which state",
    "since": "since when; null if it is not known",
    "started_at": "when it ran first",
    "state": _either(SessionState),
    "status": _either(RunnerStatus),
    "subject": "the id of what it is about: a session, a runner, a host",
    "time": "when it happened",
    "subagent": "it is of another agent that the session's started",
    "tokens_used": "input, output and cache, together",
    "type": "`runner.started`, say",
    "transcripts": "where its conversations are: a list of Transcript",
    "unseen": "what could not be looked at: a list of sentences",
    "unpriced_tokens": "of those used, of models whose price is not known; then the cost is the least it can be",
    "uptime_s": "seconds since it started",
    "problem": "why it does nothing for its host; null: it does",
    "ui": "where a browser looks; null: nowhere",
    "usage": "what it used, by model: a list of Usage",
    "used": "how much is used; of memory at least 256 MB a runner, of tokens on this day in UTC",
    "version": "of the daemon",
    "waiting": "how many wait in line because of it",
    "waiting_in_line": "how many sessions wait for a slot",
}
"""What a key means: of one type, or wherever it is."""


def reference() -> str:
    """All of ``docs/cli.md``."""
    root = command()
    parts = [INTRODUCTION]
    for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
        parts.append(f"## {section}\n")
        for name in (name for name, entry in COMMANDS.items() if entry.section == section):
            parts += _told(root.get_command(None, name), name)
    parts.append(
        "## Results for programs\n\nKeys are only ever added. Times are in UTC (ISO 8601); what is not known is null.\n"
    )
    for name, keys in TYPES.items():
        parts.append(f"### {name}\n")
        parts.append(_table(("key", "meaning"), ((f"`{key}`", KEYS.get(f"{name}.{key}") or KEYS[key]) for key in keys)))
    parts.append("## Exit codes\n")
    parts.append(_table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items())))
    parts.append("## Environment\n")
    parts.append(_table(("variable", "meaning"), ((f"`{name}`", meaning) for name, meaning in ENVIRONMENT.items())))
    return "\n".join(parts)


def _told(found: Any, path: str) -> Iterator[str]:
    """A command, or a noun with its commands."""
    context = found.make_context(f"stratavore {path}", [], resilient_parsing=True)
    text, _, examples = (found.help or "").partition("\n\nExamples:\n")
    yield f"### `{' '.join([context.info_name, *found.collect_usage_pieces(context)])}`\n"
    yield "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")) + "\n"
    rows = [_row(param, context) for param in found.get_params(context) if param.name != "help"]
    if rows:
        yield _table(("", "meaning"), rows)
    if examples:
        yield "\n".join(["```", *(line.strip() for line in examples.splitlines()), "```\n"])
    if path in RESULTS:
        linked = re.sub("|".join(TYPES), lambda found: f"[{found[0]}](#{found[0].lower()})", RESULTS[path])
        yield f"For programs: {linked}.\n"
    for name in getattr(found, "table", ()):
        yield from _told(found.get_command(context, name), f"{path} {name}")


def _row(param: Any, context: Any) -> tuple[str, str]:
    """An argument or an option, as its help has it."""
    if param.param_type_name == "option":
        names, meaning = param.get_help_record(context)
    else:
        names, meaning = param.metavar or param.name.upper(), param.help
    return f"`{names}`", re.sub(r"\s*\[default: (.*)\]", r" By default \1.", " ".join(meaning.split()))


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [heads, ("---", "---"), *rows]
    return "".join(f"| {first.replace('|', '&#124;')} | {second} |\n" for first, second in lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
