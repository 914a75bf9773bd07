"""Where settings come from, and what is said of those that are wrong."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stratavore.config import path as config_path
from stratavore.config.keys import SECTIONS, SETTINGS
from stratavore.config.path import VARIABLE, configuration_file
from stratavore.config.reading import NO_SETTINGS, read_configuration, read_settings
from stratavore.config.secrets import shown
from stratavore.errors import ConfigurationInvalid, ConfigurationMissing, StratavoreError
from tests.support.servers import REPOSITORY

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
PORTS = st.integers(0, 65535)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "host": WORDS,
    "host_lease_seconds": st.floats(0.5, 1000),
    "temporal.address": PORTS.map(lambda port: f"temporal.example:{port}"),
    "temporal.port": PORTS,
    "temporal.namespace": WORDS,
    "postgres.dsn": WORDS.map(lambda word: f"postgresql://me:{word}@db.example/x"),
    "rabbitmq.enabled": st.booleans(),
    "metrics.port": PORTS,
    "quotas.max_tokens_per_day": st.integers(0, 10**12),
    "log.level": st.sampled_from(["debug", "info", "warning", "error"]),
}
SETS = st.fixed_dictionaries({}, optional=VALUES)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """One in which nothing is configured."""
    with monkeypatch.context() as context:
        for name in list(os.environ):
            if name.startswith("STRATAVORE_"):
                context.delenv(name)
        context.setenv("HOME", str(tmp_path / "home"))
        context.delenv("XDG_CONFIG_HOME", raising=False)
        context.setattr(config_path, "SYSTEM", tmp_path / "etc/stratavore.yaml")
        yield context


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(environment: pytest.MonkeyPatch, path: Path, text: str) -> str:
    """What is said of a file, without its name."""
    environment.setenv(VARIABLE, str(write(path, text)))
    with pytest.raises(ConfigurationInvalid) as caught:
        read_settings()
    said = str(caught.value)
    assert "\n" not in said and "s3cret" not in said, said
    return said.removeprefix(f"{path}, ")


@given(in_file=SETS, in_environment=SETS)
def test_variable_before_file_before_default(in_file: dict[str, Any], in_environment: dict[str, Any]) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as context:
        nested: dict[str, Any] = {}
        for key, value in in_file.items():
            section, _, name = key.rpartition(".")
            (nested.setdefault(section, {}) if section else nested)[name] = value
        path = write(Path(directory) / "file.yaml", yaml.safe_dump(nested))
        context.setenv(VARIABLE, str(path))
        for key, value in in_environment.items():
            context.setenv(SETTINGS[key].variable, str(value))
        read = read_configuration()
    for key, setting in SETTINGS.items():
        value, source = read.value(key), read.sources.get(key)
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        if key in in_environment:
            assert (value, str(source)) == (in_environment[key], setting.variable)
        elif key in in_file:
            assert value == in_file[key]
            assert source is not None and source.path == path
            line = yaml.safe_dump(nested).splitlines()[source.line - 1]
            assert line.strip().startswith(f"{setting.name}:")
        else:
            assert source is None
            assert key == "host" or value == setting.default


def test_the_first_file_counts_alone(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = write(config_path.SYSTEM, "host: system\nlog: {level: error}\n")
    assert configuration_file() == system
    user = write(tmp_path / "home/.config/stratavore/stratavore.yaml", "host: user\n")
    assert (read_settings().host, read_settings().log.level) == ("user", "info")
    assert configuration_file() == user
    environment.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert configuration_file() == system
    own = write(tmp_path / "xdg/stratavore/stratavore.yaml", "host: xdg\n")
    assert configuration_file() == own
    environment.setenv(VARIABLE, str(write(tmp_path / "named.yaml", "host: named\n")))
    assert read_settings().host == "named"
    environment.setenv(VARIABLE, "/dev/null")
    assert read_configuration().sources == {}


def test_a_file_that_is_named_must_be_there(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv(VARIABLE, str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigurationMissing, match=r"There is no configuration file .*/none.yaml, which --config"):
        read_settings()


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", VARIABLE])
def test_a_file_that_may_be_there_is_not_passed_over(
    environment: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Its name is too long for anybody; a directory that one may not enter is as silent."""
    environment.setenv(variable, str(tmp_path / ("x" * 300)))
    with pytest.raises(
        ConfigurationInvalid, match=r"^Whether .* cannot be seen: file name too long\. .* with --config\.$"
    ):
        read_settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgress:\n  dsn: s3cret\n", "line 1: there is no setting 'postgress'; did you mean 'postgres'?"),
        ("postgres:\n  dns: s3cret\n", "line 2: there is no setting 'postgres.dns'; did you mean 'dsn'?"),
        ("dsn: s3cret\n", "line 1: there is no setting 'dsn'; did you mean 'postgres.dsn'?"),
        (
            "temporal.port: 1\n",
            "line 1: there is no setting 'temporal.port'; write it in its section: temporal: {port: ...}.",
        ),
        ("log:\n  colour: red\n", "line 2: there is no setting 'log.colour'; there is: level."),
        ("temporal:\n  port: 70000\n", "line 2: 'temporal.port' takes a whole number from 0 to 65535."),
        ("temporal:\n  port: '7233'\n", "line 2: 'temporal.port' takes a whole number from 0 to 65535."),
        ("temporal:\n  port: yes\n", "line 2: 'temporal.port' takes a whole number from 0 to 65535."),
        ("temporal:\n  tls: 1\n", "line 2: 'temporal.tls' takes true or false."),
        ("host: 12\n", "line 1: 'host' takes a text."),
        ("host: {s3cret: s3cret}\n", "line 1: 'host' takes a text."),
        ("host: a b\n", "line 1: 'host' takes a name of letters, digits, '.', '_' and '-', at most 63."),
        ("host_lease_seconds: 0\n", "line 1: 'host_lease_seconds' takes a number above 0 and up to 86400."),
        ("quotas: {max_memory_mb: -1}\n", "line 1: 'quotas.max_memory_mb' takes a whole number, 0 or more."),
        ("log: {level: s3cret}\n", "line 1: 'log.level' takes one of debug, info, warning, error."),
        (
            "temporal: {address: s3cret}\n",
            "line 1: 'temporal.address' takes a host and a port, such as temporal.example:7233.",
        ),
        (
            "postgres: {dsn: s3cret}\n",
            "line 1: 'postgres.dsn' takes a URL such as postgresql://user:password@db.example:5432/stratavore_state.",
        ),
        (
            "rabbitmq:\n  url:\n  - amqp://a\n  - s3cret\n",
            "line 3: 'rabbitmq.url' takes a URL such as amqps://user:password@mq.example:5671/, "
            "or several with commas between.",
        ),
        (
            "rabbitmq: {management_url: 'http://me:s3cret@mq'}\n",
            "line 1: 'rabbitmq.management_url' takes a URL without user or password, such as http://mq.example:15672.",
        ),
        ("temporal: {ca: ca.pem}\n", "line 1: 'temporal.ca' takes a whole path, one that begins with / or ~."),
        (
            "temporal: {address: 'a:1', ca: /nowhere/ca.pem}\n",
            "line 1: 'temporal.ca' names /nowhere/ca.pem, which cannot be read: no such file or directory.",
        ),
        ("export: {directory: /dev/null}\n", "line 1: 'export.directory' names /dev/null, which is no directory."),
        (
            f"export: {{directory: /{'x' * 300}}}\n",
            f"line 1: 'export.directory' names /{'x' * 300}, which cannot be looked at: file name too long.",
        ),
        ("export: {format: xml}\n", "line 1: 'export.format' takes one of csv, json."),
        (
            "postgres: {dsn: 'postgresql://me:s3cret@db/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem'}\n",
            "line 1: 'postgres.dsn' names /nowhere/ca.pem, which cannot be read: no such file or directory.",
        ),
        (
            "postgres: {dsn: 'postgresql://me:s3cret℀@db/x'}\n",
            "line 1: 'postgres.dsn' takes a URL such as postgresql://user:password@db.example:5432/stratavore_state.",
        ),
        ('"a\\nb": 1\n', "line 1: a key is a word, such as 'temporal'."),
        (
            "metrics: {address: here}\n",
            "line 1: 'metrics.address' takes an IP address, such as 127.0.0.1, or 0.0.0.0 for all.",
        ),
        ("temporal:\n  port: 1\n  port: 2\n", "line 3: 'port' is there twice; the first is in line 2."),
        ("host: a\nlog: {}\nhost: b\n", "line 3: 'host' is there twice; the first is in line 1."),
        ("temporal: 3\n", "line 1: keys with values are expected, such as 'temporal: {address: ...}'."),
        ("- host\n", "line 1: keys with values are expected, such as 'temporal: {address: temporal.example:7233}'."),
        ("1: 2\n", "line 1: a key is a word, such as 'temporal'."),
        ("log:\n  level: [1\n", "line 3: expected ',' or ']', but got '<stream end>' (column 1)."),
        ("log:\n\tlevel: info\n", "line 2: found character '\\t' that cannot start any token (column 1)."),
        ("postgres:\n  dsn: *s3cret\n", "line 2: a value that begins with &, * or ! has to be quoted (column 8)."),
        ("postgres:\n  dsn: !s3cret x\n", "line 2: a value that begins with &, * or ! has to be quoted (column 8)."),
        ("host: 2026-99-99\n", "line 1: a value looks like a date or a number and is none; quote it."),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    assert refused(environment, tmp_path / "file.yaml", text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cert: FILE", "'temporal.cert' needs temporal.key as well: a certificate is used with its key."),
        ("key: FILE", "'temporal.key' needs temporal.cert as well: a certificate is used with its key."),
        ("tls: false\n  api_key: s3cret", "'temporal.api_key' needs TLS, and temporal.tls forbids it."),
    ],
)
def test_settings_that_contradict_each_other(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    there = text.replace("FILE", str(write(tmp_path / "pem", "x")))
    line = 3 + there.count("\n")
    assert (
        refused(environment, tmp_path / "f.yaml", f"temporal:\n  address: a:1\n  {there}\n") == f"line {line}: {said}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "temporal: {api_key: s3cret}",
            "'temporal.api_key' is for a server of your own, and temporal.address names none.",
        ),
        (
            "rabbitmq: {url: ['amqps://a', 'amqp://b'], ca: FILE}",
            "'rabbitmq.ca' needs TLS: each address in rabbitmq.url has to begin with amqps://.",
        ),
        (
            "rabbitmq: {management_url: 'http://mq:15672'}",
            "'rabbitmq.management_url' is for a broker of your own, and rabbitmq.url names none.",
        ),
    ],
)
def test_settings_of_servers_that_are_not_used(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    assert (
        refused(environment, tmp_path / "f.yaml", text.replace("FILE", str(write(tmp_path / "pem", "x"))))
        == f"line 1: {said}"
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "POSTGRES__DNS",
            "s3cret",
            "There is no setting STRATAVORE_POSTGRES__DNS; did you mean STRATAVORE_POSTGRES__DSN?",
        ),
        (
            "TEMPORAL_ADDRESS",
            "a:1",
            "There is no setting STRATAVORE_TEMPORAL_ADDRESS; did you mean STRATAVORE_TEMPORAL__ADDRESS?",
        ),
        ("X__Y", "1", "There is no setting STRATAVORE_X__Y; see: stratavore config show."),
        (
            "TEMPORAL__PORT",
            "s3cret",
            "The setting STRATAVORE_TEMPORAL__PORT is wrong: it takes a whole number from 0 to 65535.",
        ),
        ("RABBITMQ__ENABLED", "s3cret", "The setting STRATAVORE_RABBITMQ__ENABLED is wrong: it takes true or false."),
    ],
)
def test_what_is_wrong_in_a_variable_is_told(environment: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    environment.setenv(f"STRATAVORE_{name}", value)
    with pytest.raises(ConfigurationInvalid) as caught:
        read_settings()
    assert str(caught.value) == said


def test_variables_that_say_nothing(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STRATAVORE_POSTGRES__DSN", "")
    environment.setenv("STRATAVORE_SERVICE_PORT_HTTPS", "443")
    for name in NO_SETTINGS - {VARIABLE}:
        environment.setenv(name, "x")
    read = read_configuration()
    assert read.sources == {}
    assert read.warnings == ("The variable STRATAVORE_SERVICE_PORT_HTTPS is no setting, and nothing follows from it",)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "f.yaml", "host: a\n", mode)
    environment.setenv(VARIABLE, str(path))
    with pytest.raises(ConfigurationInvalid, match=r"Others than its owner may change .*chmod go-w"):
        read_settings()


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ("postgres: {dsn: 'postgresql://me:s3cret@db/x'}\n", 0o644, True),
        ("postgres: {dsn: 'postgresql://me:s3cret@db/x'}\n", 0o640, False),
        ("host: a\n", 0o644, False),
    ],
)
def test_a_secret_that_others_may_read(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str, mode: int, warned: bool
) -> None:
    path = write(tmp_path / "f.yaml", text, mode)
    environment.setenv(VARIABLE, str(path))
    warning = f"{path} holds 'postgres.dsn', and every user of this machine can read it: chmod o-r {path}"
    assert read_configuration().warnings == ((warning,) if warned else ())


@pytest.mark.parametrize("content", [b"host: \xff\n", b"host: \x00\n"])
def test_a_file_that_is_no_text(environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "f.yaml", "")
    path.write_bytes(content)
    environment.setenv(VARIABLE, str(path))
    with pytest.raises(ConfigurationInvalid, match=r"is no text in UTF-8|special characters"):
        read_settings()


def test_a_directory_is_no_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationInvalid, match=r"cannot be read: Is a directory\."):
        read_settings()


@given(text=st.text() | st.sampled_from(sorted(SECTIONS)).flatmap(lambda name: st.text().map(f"{name}:\n  ".__add__)))
def test_whatever_a_file_holds_is_understood_or_refused_in_a_sentence(text: str) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as context:
        path = write(Path(directory) / "f.yaml", "")
        path.write_bytes(text.encode(errors="surrogatepass"))
        context.setenv(VARIABLE, str(path))
        try:
            read_settings()
        except StratavoreError as error:
            assert str(path) in str(error)
            assert str(error).isprintable()


@given(
    password=st.text(min_size=6, max_size=20), more=st.sampled_from(["", "?sslmode=require&password=", "/?password="])
)
def test_a_password_is_never_shown(password: str, more: str) -> None:
    urls = f"amqps://me:{password}@a.example:5671/,amqp://you:{password}@b.example"
    dsn = f"postgresql://me:{password}@db.example/x{more}{quote(password) if more else ''}"
    for text in (urls, dsn, password):
        found = shown(SecretStr(text))
        assert password not in found or password in "amqps://me:****@a.example:5671/,amqp://you:****@b.example****"
        assert len(quote(password)) < 8 or quote(password) not in found


def test_what_is_shown_of_a_url() -> None:
    assert shown(SecretStr("amqps://me:a@b.example/,amqp://you@c")) == "amqps://me:****@b.example/,amqp://you@c"
    dsn = "postgresql://me:p@ss@db:5432/x?sslmode=require&sslpassword=abc"
    assert shown(SecretStr(dsn)) == "postgresql://me:****@db:5432/x?sslmode=require&sslpassword=****"
    assert shown(SecretStr("key")) == "****"


def test_every_variable_that_the_programs_read_is_known() -> None:
    """One that is not here would be warned of, or refused."""
    found = set()
    for folder in ("stratavore", "workflows", "activities", "worker", "cli", "setup"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= {node.value} if re.fullmatch(r"STRATAVORE_[A-Z_]+[A-Z]", node.value) else set()
    assert found <= NO_SETTINGS | {one.variable for one in SETTINGS.values()}
    assert found >= NO_SETTINGS - {"STRATAVORE_HOME", "STRATAVORE_CONFIG", "STRATAVORE_DEBUG"}
