"""What goes wrong is one sentence, an exit code, and nothing half made."""

import os
import socket
from pathlib import Path

import pytest

from stratavore.paths import Home
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


def left_over(home: Home) -> list[str]:
    """What lies in a state directory."""
    return sorted(path.name for path in home.sessions.iterdir())


async def test_a_project_that_cannot_be_is_not_created(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    for name in ("launch", "all", "-x", "a b", "a/b", "", "x" * 65, "ü"):
        said = await cli.refused(2, "new", "--", name)
        assert said.startswith(f"'{name}' cannot be a project's name: ")
    assert await cli.refused(2, "new", "site", "--path", "nowhere") == (
        f"The directory {site / 'nowhere'} does not exist. Create it, or name another with --path."
    )
    assert "The program 'no-such-program' was not found" in await cli.refused(6, "new", "site", "--", "no-such-program")
    assert "There is no agent 'nobody'. Known are: " in await cli.refused(2, "new", "site", "--agent", "nobody")
    assert await cli.json("projects") == []
    await cli.done("new", "site", "--", "cat")
    assert f"already exists with the directory {site}" in await cli.refused(5, "new", "site", "--path", "..")


async def test_a_launch_that_cannot_be_leaves_nothing(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "cat")
    assert "There is no project 'siite' (did you mean 'site'?)" in await cli.refused(3, "launch", "siite")
    assert "'a b' cannot be a project's name" in await cli.refused(2, "launch", "a b")
    assert "The program './run' was not found" in await cli.refused(6, "launch", "site", "--", "./run")
    for count in ("0", "-1", "1001"):
        assert "--count takes a number from 1 to 1000" in await cli.refused(2, "launch", "site", "--count", count)
    assert "'x' is no whole number" in await cli.refused(2, "launch", "site", "--count", "x")
    assert "'xml' is none of table, json, yaml" in await cli.refused(2, "launch", "site", "--format", "xml")
    site.rmdir()
    cli.directory = daemon.home.root
    assert f"The directory {site} does not exist any more" in await cli.refused(2, "launch", "site")
    assert await cli.json("sessions", "--all") == []
    assert left_over(daemon.home) == []


async def test_commands_that_are_none(cli: CommandLine) -> None:
    for words, said in (
        (("launch",), "Missing argument 'PROJECT'. See: stratavore launch --help"),
        (("events", "lst"), "'stratavore events' has no command 'lst'; did you mean 'list'?"),
        (("status", "--wach"), "No such option: --wach"),
        (
            ("quotas", "set", "site", "runners", "3"),
            "There is no limit 'runners' (did you mean 'max-runners'?); there is: max-runners",
        ),
        (("quotas", "set", "site", "max-memory", "4GB"), "max-memory is a whole number of MB or 'none', not '4GB'."),
        (("quotas", "set", "site", "max-runners", "-3"), "max-runners is a number of runners from 0 to 1000000, or"),
        (("launch", "site", "--max-memory", "4GB"), "max-memory is a whole number of MB or 'none', not '4GB'."),
        (("launch", "site", "--max-tokens", "-1"), "max-tokens is a number of tokens from 0 to 1000000000000000, or"),
        (("launch", "site", "--max-tokens", f"1{'0' * 30}"), "max-tokens is a number of tokens from 0 to"),
        (("quotas", "set", "site", "max-runners"), "Say TARGET LIMIT N, or --global for TARGET."),
        (("quotas", "unset", "--global", "site", "max-tokens"), "Say LIMIT after --global."),
        (("status", "--watch", "--format", "json"), "--watch is for people"),
        (("attach", "site"), "A session can only be shown in a terminal"),
        (("send", "site", ""), "There is no text to send."),
    ):
        assert (await cli.refused(2, *words)).startswith(said)


async def test_an_unsafe_state_directory_is_not_used(cli: CommandLine, site: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    unsafe = cli.with_settings(STRATAVORE_HOME=str(tmp_path))
    sentence = f"The directory {tmp_path} belongs to another user or is open to others. Choose another with "
    for words in (("daemon", "start"), ("status",), ("launch", "site"), ("kill", "all")):
        assert (await unsafe.refused(5, *words)).startswith(sentence)
    assert list(tmp_path.iterdir()) == []

    file = tmp_path / "file"
    file.touch()
    unusable = cli.with_settings(STRATAVORE_HOME=str(file / "below"))
    said = await unusable.refused(4, "daemon", "start")
    assert (
        said == f"The directory {file / 'below'} cannot be used: not a directory. Choose another with STRATAVORE_HOME."
    )


async def test_a_state_directory_where_somebody_else_listens(cli: CommandLine, home: Home, tmp_path: Path) -> None:
    home.sockets.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()
        listener.setblocking(False)
        assert "open to others" in await cli.refused(5, "status")
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_wrong_settings_are_named_and_not_shown(cli: CommandLine) -> None:
    for name, value in (
        ("STRATAVORE_TEMPORAL__PORT", "s3cret"),
        ("STRATAVORE_HOST", "s3cret name"),
        ("STRATAVORE_RABBITMQ__ENABLED", "s3cret"),
    ):
        said = await cli.with_settings(**{name: value}).refused(2, "daemon", "start")
        assert said.startswith(f"The setting {name} is wrong: ")
        assert "s3cret" not in said


async def test_a_server_that_is_away(daemon: DaemonProcess, cli: CommandLine) -> None:
    daemon.kill()
    records = daemon.home.servers_file
    content = records.read_text()
    password = daemon.dsn.partition("@")[0].rpartition(":")[2]
    for address in (daemon.dsn.rpartition("@")[2].partition("/")[0], cli.environment["STRATAVORE_TEMPORAL__ADDRESS"]):
        records.write_text(content.replace(address, "127.0.0.1:1"))
        said = await cli.refused(4, "status")
        assert "cannot be reached at 127.0.0.1:1" in said
        assert password not in said
    assert await cli.refused(4, "launch", "site") == said
    assert left_over(daemon.home) == []


async def test_a_full_disk(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    full = 'mount -t tmpfs -o size=4k,mode=700 none "$0" && cp /proc/self/maps "$0" 2>/dev/null; exec "$@"'
    sessions = str(daemon.home.sessions)
    as_root = ("--user", "--map-root-user") if os.getuid() else ()
    crowded = cli.behind("unshare", *as_root, "--mount", "sh", "-c", full, sessions)
    said = await crowded.refused(4, "launch", "site")
    assert said.startswith("The disk that holds ")
    assert "is full. Make room there" in said
    assert await cli.json("sessions", "--all") == []
    assert left_over(daemon.home) == []
    await cli.done("launch", "site")


async def test_a_taken_port_is_left_to_who_has_it(daemon_process: DaemonProcess, cli: CommandLine) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        await daemon_process.start(settings={"STRATAVORE_METRICS__PORT": str(port)})
        (metrics,) = [one for one in (await cli.json("daemon", "status"))["servers"] if one["name"] == "metrics"]
    assert metrics["state"] == "running"
    assert not metrics["address"].endswith(f":{port}")


async def test_a_fault_of_the_program_itself_is_one_sentence_too(cli: CommandLine, home: Home) -> None:
    (home.logs / "daemon.log").mkdir()
    said = await cli.refused(1, "daemon", "start")
    assert said.startswith("Something unexpected happened: IsADirectoryError")
    assert said.endswith(f"The details are in {home.logs / 'cli.log'}.")
    assert "Traceback" in (home.logs / "cli.log").read_text()


async def test_a_reader_that_goes_away_is_no_fault(cli: CommandLine) -> None:
    head, tail = os.pipe()
    os.close(head)
    try:
        process = cli.start("--help", out=tail)
    finally:
        os.close(tail)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
