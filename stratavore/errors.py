"""What can go wrong, each with one sentence for a person and a documented exit code.

The docstring of a class is its message; ``{names}`` in it are filled from the keyword arguments. ``code`` is stable and
travels over the private API; ``exit_code`` is what ``stratavore`` ends with (listed in ``docs/cli.md``).
"""

from typing import Any, ClassVar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_UNAVAILABLE = 4
EXIT_REFUSED = 5
EXIT_AGENT_FAILED = 6
EXIT_TIMEOUT = 7


class StratavoreError(Exception):
    """Something went wrong: {reason}."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(" ".join((type(self).__doc__ or "").split()).format(**details))

    def to_wire(self) -> dict[str, Any]:
        """The error as the private API sends it."""
        return {"code": self.code, "message": str(self), "exit_code": self.exit_code}


class RemoteError(StratavoreError):
    """{message}"""

    def __init__(self, *, code: str, message: str, exit_code: int) -> None:
        super().__init__(message=message)
        self.code = code  # type: ignore[misc]
        self.exit_code = exit_code  # type: ignore[misc]


class InvalidInput(StratavoreError):
    """{reason}."""

    code = "invalid_input"
    exit_code = EXIT_USAGE


class ConfigurationInvalid(InvalidInput):
    """{reason}"""

    code = "configuration_invalid"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason if reason.endswith("?") else f"{reason}.")


class ConfigurationMissing(StratavoreError):
    """There is no configuration file {path}, which --config or STRATAVORE_CONFIG names. Create it, or name another."""

    code = "configuration_missing"
    exit_code = EXIT_USAGE


class InvalidName(StratavoreError):
    """'{name}' cannot be a project's name: {reason}. Use letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."""

    code = "invalid_name"
    exit_code = EXIT_USAGE


class UnknownProject(StratavoreError):
    """There is no project '{name}'{near}. Create it with: stratavore new {name}."""

    code = "unknown_project"
    exit_code = EXIT_NOT_FOUND


class ProjectExists(StratavoreError):
    """The project '{name}' already exists with the directory {path}. Choose another name."""

    code = "project_exists"
    exit_code = EXIT_REFUSED


class ProjectInUse(StratavoreError):
    """The project '{project}' has {count}: {sessions}. End what lives in it first with: stratavore kill {project}."""

    code = "project_in_use"
    exit_code = EXIT_REFUSED


class ProjectHasHistory(StratavoreError):
    """The project '{project}' has {count} with their conversations and what they used. Delete those with it, for ever: stratavore projects delete {project} --with-history."""

    code = "project_has_history"
    exit_code = EXIT_REFUSED


class NobodyToAsk(StratavoreError):
    """Nobody can be asked here whether to {what}. Say that you mean it with --yes."""

    code = "nobody_to_ask"
    exit_code = EXIT_USAGE


class UnknownTarget(StratavoreError):
    """Nothing is called '{target}'{near}: it is no session, runner or project here. See: stratavore sessions."""

    code = "unknown_target"
    exit_code = EXIT_NOT_FOUND


class AmbiguousTarget(StratavoreError):
    """'{target}' could mean {candidates}. Type more of the id."""

    code = "ambiguous_target"
    exit_code = EXIT_NOT_FOUND


class NoLiveSession(StratavoreError):
    """'{target}' has no live session. Start one with: stratavore {target}."""

    code = "no_live_session"
    exit_code = EXIT_REFUSED


class NoSuchBudget(StratavoreError):
    """'{target}' has no such budget. See which there are with: stratavore budget show."""

    code = "no_such_budget"
    exit_code = EXIT_NOT_FOUND


class Limited(StratavoreError):
    """The text was not sent to {session}: {reason}. Send it then, or type it there all the same: stratavore attach {session}."""

    code = "limited"
    exit_code = EXIT_REFUSED


class NotHeld(StratavoreError):
    """No budget{unit} holds '{target}'. See what sessions wait for with: stratavore sessions."""

    code = "not_held"
    exit_code = EXIT_REFUSED


class NotAsking(StratavoreError):
    """'{target}' waits for no approval. See what sessions wait for with: stratavore sessions."""

    code = "not_asking"
    exit_code = EXIT_REFUSED


class NoTranscript(StratavoreError):
    """Nothing is stored of what was said in the session {session}: its agent '{agent}' keeps no conversation that can be read, or has not said anything yet. See what it wrote with: stratavore logs {session}."""

    code = "no_transcript"
    exit_code = EXIT_NOT_FOUND


class WrongState(StratavoreError):
    """The session {session} is {state}, so it cannot be {action}. {hint}."""

    code = "wrong_state"
    exit_code = EXIT_REFUSED


class AlreadySo(WrongState):
    """The session {session} is {state} already. {hint}."""


class MissingDirectory(StratavoreError):
    """The directory {path} does not exist. Create it, or name another with --path."""

    code = "missing_directory"
    exit_code = EXIT_USAGE


class LostDirectory(MissingDirectory):
    """The directory {path} does not exist any more. Create it again, or make a project for another: stratavore new NAME --path DIR."""


class ClosedDirectory(StratavoreError):
    """The user {user} may not enter the directory {path}. Let that user in (chmod, chgrp), or name another with --path."""

    code = "closed_directory"
    exit_code = EXIT_USAGE


class SilentDirectory(StratavoreError):
    """The directory {path} does not answer: what it is mounted from is away, or hangs. Bring that mount back and try again, or make a project for another: stratavore new NAME --path DIR."""

    code = "silent_directory"
    exit_code = EXIT_UNAVAILABLE


class ProgramNotFound(StratavoreError):
    """The program '{program}' was not found or may not be executed on this machine. Install it, or give its whole path."""

    code = "program_not_found"
    exit_code = EXIT_AGENT_FAILED


class AgentNotInstalled(ProgramNotFound):
    """{agent} is not installed: there is no program '{program}' on your PATH. {hint}."""


class AgentEndedAtOnce(StratavoreError):
    """The program of session {session} ended at once ({exit}). {hint}. Its last lines:{lines}"""

    code = "agent_ended_at_once"
    exit_code = EXIT_AGENT_FAILED


class DaemonAway(StratavoreError):
    """The daemon does not answer. Start it with: stratavore daemon start."""

    code = "daemon_away"
    exit_code = EXIT_UNAVAILABLE


class DaemonSilent(StratavoreError):
    """The daemon (process {pid}) lives but does not answer. Wait, or end it with: kill -9 {pid} (agents go on, and the next one takes them over)."""

    code = "daemon_silent"
    exit_code = EXIT_UNAVAILABLE


class StrangeDaemon(StratavoreError):
    """What listens at {path} does not answer as a daemon of Stratavore does. See what it is with: ss -xlp | grep {path}; end it, and start the daemon: stratavore daemon start."""

    code = "strange_daemon"
    exit_code = EXIT_UNAVAILABLE


class UnknownCall(StratavoreError):
    """The daemon does not know the call '{call}' with these parameters. Is the program that asks of the same version, {version}?"""

    code = "unknown_call"
    exit_code = EXIT_UNAVAILABLE


class OtherVersion(StratavoreError):
    """The daemon is of version {daemon}, this program of version {client}, and they do not understand each other. Upgrade the older one, then start the daemon anew: stratavore daemon stop, and stratavore daemon start (sessions go on)."""

    code = "other_version"
    exit_code = EXIT_UNAVAILABLE


class DaemonRunning(StratavoreError):
    """A daemon already runs for {home} (process {pid}). See: stratavore daemon status."""

    code = "daemon_running"
    exit_code = EXIT_REFUSED


class PartEnded(StratavoreError):
    """A part of the daemon, {part}, {how}, which it never should, so the daemon ends; agents go on. A service is started again by systemd; else type: stratavore daemon start. Tell us with the end of its log."""

    code = "part_ended"


class SystemdAway(StratavoreError):
    """systemd does not run on this machine, so there is nothing to install the service in. Start the daemon with: stratavore daemon start (after each boot, for example from a line with @reboot in crontab)."""

    code = "systemd_away"
    exit_code = EXIT_UNAVAILABLE


class SystemdFailed(StratavoreError):
    """'{command}' failed: {reason}. Mend that and install again, or start the daemon with: stratavore daemon start."""

    code = "systemd_failed"


class NotRoot(StratavoreError):
    """Only root may change services of the machine. Type: sudo {program} ... --system, or use a service of your own with --user."""

    code = "not_root"
    exit_code = EXIT_REFUSED


class ServiceOfAnother(StratavoreError):
    """The service in {file} is that of another state directory, {home}. Uninstall it first, with STRATAVORE_HOME={home}."""

    code = "service_of_another"
    exit_code = EXIT_REFUSED


class UnknownHost(StratavoreError):
    """There is no host '{name}'{near}. See: stratavore hosts."""

    code = "unknown_host"
    exit_code = EXIT_NOT_FOUND


class HostIsUp(StratavoreError):
    """The host {host} is up, and only one that is gone can be deleted. Stop its daemon first, and wait until its lease has run out: stratavore hosts."""

    code = "host_is_up"
    exit_code = EXIT_REFUSED


class HostHasSessions(StratavoreError):
    """The host {host} has {count} that wait for it. If it is gone for good, let them go on elsewhere: stratavore hosts delete {host} --force."""

    code = "host_has_sessions"
    exit_code = EXIT_REFUSED


class Unreachable(StratavoreError):
    """The session {session} cannot be {action}: {reason}. Try again when the host is back; see: stratavore hosts show {host}."""

    code = "unreachable"
    exit_code = EXIT_UNAVAILABLE


class HostTaken(StratavoreError):
    """Another daemon serves the host '{host}' with this Postgres: {holder}. Give one of them another name with STRATAVORE_HOST; if the other one is gone, its name is free in {seconds} s."""

    code = "host_taken"
    exit_code = EXIT_REFUSED


class ServerAway(StratavoreError):
    """{server} cannot be reached at {address}: {reason}. {hint}."""

    code = "server_away"
    exit_code = EXIT_UNAVAILABLE


class ServerFailed(ServerAway):
    """{server} failed in the middle of it: {reason}. Try again in a moment; if it stays so, look with: stratavore daemon status."""


class ServerSilent(ServerAway):
    """{server} {how}: {so}. See: stratavore daemon status."""


class RightsMissing(StratavoreError):
    """{server} at {address} does not let '{role}' do what is needed: {reason}. {hint}."""

    code = "rights_missing"
    exit_code = EXIT_REFUSED


class PostgresTooOld(StratavoreError):
    """Postgres at {address} is version {version}, and Stratavore needs {oldest} or newer. Upgrade it, or name another server in postgres.dsn."""

    code = "postgres_too_old"
    exit_code = EXIT_REFUSED


class ExtensionMissing(StratavoreError):
    """Postgres at {address} does not have the extension {name}. Install pgvector there (its package is mostly called postgresql-{version}-pgvector), or name another server in postgres.dsn."""

    code = "extension_missing"
    exit_code = EXIT_REFUSED


class DatabaseMissing(StratavoreError):
    """There is no database '{database}' at {address}. Create it with: stratavore setup."""

    code = "database_missing"
    exit_code = EXIT_NOT_FOUND


class OtherSchema(StratavoreError):
    """The database '{database}' at {address} was prepared by another version of Stratavore: its schema is {found}, and this version knows {known} at most. Install that version, or name another database in postgres.dsn."""

    code = "other_schema"
    exit_code = EXIT_REFUSED


class NamespaceMissing(StratavoreError):
    """Temporal at {address} has no namespace '{namespace}', and does not let us create it: {reason}. Let an administrator create it, and name it in temporal.namespace."""

    code = "namespace_missing"
    exit_code = EXIT_REFUSED


class ServerMissing(StratavoreError):
    """{server} is not installed: {reason}. {hint}."""

    code = "server_missing"
    exit_code = EXIT_UNAVAILABLE


class DiskFull(StratavoreError):
    """The disk that holds {path} is full. Make room there; what waits goes on by itself."""

    code = "disk_full"
    exit_code = EXIT_UNAVAILABLE


class ClusterUnowned(StratavoreError):
    """Nobody can tell whose database is in {path}: {file} is missing or damaged. If it is that of this state directory, type: echo {owner} > {file}; else move it away, and an empty one is made."""

    code = "cluster_unowned"
    exit_code = EXIT_REFUSED


class UnsafeDirectory(StratavoreError):
    """The directory {path} belongs to another user or is open to others. Choose another with STRATAVORE_HOME, or: chmod 700 {path}."""

    code = "unsafe_directory"
    exit_code = EXIT_REFUSED


class UnusableDirectory(StratavoreError):
    """The directory {path} cannot be used: {reason}. Choose another with STRATAVORE_HOME."""

    code = "unusable_directory"
    exit_code = EXIT_UNAVAILABLE


class NotSeen(StratavoreError):
    """What became of the session {session} ({doing}) cannot be seen: {reason} It was asked for and goes on by itself, so look before you ask again: stratavore sessions."""

    code = "not_seen"
    exit_code = EXIT_TIMEOUT


class TookTooLong(StratavoreError):
    """The session {session} is still {state} after {seconds} s. It goes on by itself; look with: stratavore sessions."""

    code = "took_too_long"
    exit_code = EXIT_TIMEOUT


class NotTyped(StratavoreError):
    """The text was not typed into {session}: {reason}."""

    code = "not_typed"
    exit_code = EXIT_REFUSED


class NoFreeSlot(StratavoreError):
    """The session {session} was not started: {reason}. Without --no-queue it waits in line; see the limits with: stratavore quotas show."""

    code = "no_free_slot"
    exit_code = EXIT_REFUSED


class NotMoved(StratavoreError):
    """The session {session} does not move: {reason}. See what there is with: stratavore status."""

    code = "not_moved"
    exit_code = EXIT_REFUSED


class AgentAsks(StratavoreError):
    """The agent of {session} asks before it goes on: {question}. Answer with: stratavore send --answer {session} TEXT."""

    code = "agent_asks"
    exit_code = EXIT_REFUSED


class ReplyFailed(StratavoreError):
    """The agent of {session} could not reply: {error}"""

    code = "reply_failed"
    exit_code = EXIT_AGENT_FAILED


class NoReply(StratavoreError):
    """The session {session} is {state}; it gave no reply. See: stratavore transcript {session}."""

    code = "no_reply"
    exit_code = EXIT_AGENT_FAILED


class NotOperator(StratavoreError):
    """Only the user whom the state directory belongs to may use --god, not {user}. Ask that one, or leave --god out."""

    code = "not_operator"
    exit_code = EXIT_REFUSED


class LimitOfConfiguration(StratavoreError):
    """The limit {limit} is set by the {source}. Change it there under 'quotas:' and restart that daemon, or set it until then with: stratavore --god quotas set."""

    code = "limit_of_configuration"
    exit_code = EXIT_REFUSED


class StaleGeneration(StratavoreError):
    """The runner {runner_id} is not the current one of its session any more; what it wrote was refused."""

    code = "stale_generation"
    exit_code = EXIT_REFUSED


class NoLease(StratavoreError):
    """This host holds no lease, and starts nothing that is to end with one. It goes on when Postgres answers again."""

    code = "no_lease"
    exit_code = EXIT_UNAVAILABLE


class BackupExists(StratavoreError):
    """There is a file {path} already. Choose another name, or replace it with --force."""

    code = "backup_exists"
    exit_code = EXIT_REFUSED


class BackupFailed(StratavoreError):
    """The backup {path} could not be written: {reason}. Choose another place."""

    code = "backup_failed"
    exit_code = EXIT_UNAVAILABLE


class NotABackup(StratavoreError):
    """{path} is no backup of Stratavore: {reason}. Name a file that was written by: stratavore backup FILE."""

    code = "not_a_backup"
    exit_code = EXIT_USAGE


class BackupDamaged(StratavoreError):
    """The backup {path} is damaged: {reason}. Nothing was restored from it; take another one."""

    code = "backup_damaged"
    exit_code = EXIT_REFUSED


class BackupUnfit(StratavoreError):
    """The backup {path} cannot be restored here: {reason}. It was made by Stratavore {version}."""

    code = "backup_unfit"
    exit_code = EXIT_REFUSED


class DatabaseEmpty(StratavoreError):
    """There is nothing to save: no daemon has used the database '{database}' yet. Check postgres.dsn and postgres.database."""

    code = "database_empty"
    exit_code = EXIT_NOT_FOUND


class DatabaseInUse(StratavoreError):
    """The database '{database}' at {address} has {has}, and a restore replaces none. Name an empty database in postgres.database or postgres.dsn, or another state directory with STRATAVORE_HOME."""

    code = "database_in_use"
    exit_code = EXIT_REFUSED


class DaemonInTheWay(StratavoreError):
    """A daemon runs for {home} (process {pid}), and nothing can be restored beside it. Stop it with: stratavore daemon stop."""

    code = "daemon_in_the_way"
    exit_code = EXIT_REFUSED


class AgentsInTheWay(StratavoreError):
    """Agents of {home} live (processes {pids}), and would write beside those of the restored sessions. End them with --end-agents."""

    code = "agents_in_the_way"
    exit_code = EXIT_REFUSED


class WorkflowsInTheWay(StratavoreError):
    """Temporal at {address} knows {count} in the namespace '{namespace}', which would be ahead of the restored ones. Name a new one in temporal.namespace."""

    code = "workflows_in_the_way"
    exit_code = EXIT_REFUSED


class NoSuchHost(StratavoreError):
    """No session of the backup is on a host '{host}'. Those that have some: {hosts}."""

    code = "no_such_host"
    exit_code = EXIT_NOT_FOUND


class ClockBehind(StratavoreError):
    """By the clock of Postgres {period} has not come yet, though by Temporal's it has; it is tried again. Set the clocks of both."""

    code = "clock_behind"


class HostNotDeleted(StratavoreError):
    """The host {host} is not deleted: {reason}. What has gone on elsewhere stays there, and {host} takes no new runners from now on. Type it again: stratavore hosts delete {host} --force; or keep the host with: stratavore hosts undrain {host}."""

    code = "host_not_deleted"
    exit_code = EXIT_UNAVAILABLE


class HostHasSchedules(StratavoreError):
    """The host {host} is to launch what these schedules say, which would wait for it for ever: {schedules}. Create them anew on another host, after: stratavore schedule delete {first}; or leave them waiting with: stratavore hosts delete {host} --force."""

    code = "host_has_schedules"
    exit_code = EXIT_REFUSED


class UnknownSchedule(StratavoreError):
    """There is no schedule '{name}'{near}. See which there are with: stratavore schedule list."""

    code = "unknown_schedule"
    exit_code = EXIT_NOT_FOUND


class ScheduleExists(StratavoreError):
    """There is a schedule '{name}' already, of the project {project}. Choose another name with --name, or delete that one: stratavore schedule delete {name}."""

    code = "schedule_exists"
    exit_code = EXIT_REFUSED


class ScheduleBusy(StratavoreError):
    """The schedule '{name}' launches nothing while its session {session} has not ended. Wait for that, or end it: stratavore kill {session}."""

    code = "schedule_busy"
    exit_code = EXIT_REFUSED


class ScheduleWaits(StratavoreError):
    """The schedule '{name}' launches nothing while its launch before waits for the host {host}. Start the daemon there, or call the launch off by deleting its schedule: stratavore schedule delete {name}."""

    code = "schedule_waits"
    exit_code = EXIT_REFUSED


class ExportFailed(StratavoreError):
    """The file {path} of what was used cannot be written: {reason}. Let the daemon's user write there, or set export.directory to another place."""

    code = "export_failed"
