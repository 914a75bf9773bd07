import stat
from pathlib import Path

import pytest

from stratavore.embedded.process import Process
from stratavore.embedded.records import Record, Records
from stratavore.embedded.secrets import Secrets
from stratavore.paths import Home

RECORD = Record(url="127.0.0.1:1", ui="http://127.0.0.1:2", ports={"grpc": 1, "ui": 2}, process=Process(3, 4, "boot"))


def test_what_is_put_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    Records(file).put("temporal", RECORD)
    assert Records(file)["temporal"] == RECORD
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_of_an_unknown_server_nothing_is_known(tmp_path: Path) -> None:
    records = Records(tmp_path / "servers.json")
    assert not records
    assert records["temporal"] == Record()
    records.forget_process("temporal")
    assert not records


def test_a_forgotten_process_leaves_its_ports(tmp_path: Path) -> None:
    records = Records(tmp_path / "servers.json")
    records.put("temporal", RECORD)
    records.forget_process("temporal")
    assert records["temporal"].process is None
    assert records["temporal"].ports == RECORD.ports
    assert records.ports(but="postgres") == {1, 2}
    assert records.ports(but="temporal") == set()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"temporal": 1}', '{"temporal": {"url": ""}}'])
def test_an_unreadable_file_says_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "servers.json"
    file.write_text(content)
    assert not Records(file)


def test_a_write_that_never_finished_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    (tmp_path / ".servers.json.new").write_text("half")
    Records(file).put("temporal", RECORD)
    assert Records(file)["temporal"] == RECORD


def test_only_a_server_without_ports_is_somebody_elses() -> None:
    assert Record(url="host:7233").external
    assert not RECORD.external
    assert not Record().external


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = Secrets.of(home)
    assert Secrets.of(home) == made
    assert len(bytes.fromhex(made.event_signing_key)) == 32
    assert len({made.postgres_password, made.rabbitmq_password, made.event_signing_key}) == 3
    assert stat.S_IMODE(home.secrets_file.stat().st_mode) == 0o600
    assert made.postgres_password not in repr(made)
