from pathlib import Path

import pytest

from setup import temporal
from setup.progress import SetupFailed
from stratavore.embedded.temporal import find_binary
from tests.unit.setup.conftest import Machine

BUILT = """\
printf '#!/bin/sh\\n' > "$GOBIN/temporal"
chmod 755 "$GOBIN/temporal"
"""


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's download needs a network, which a test has not."""

    def fail(directory: Path) -> None:
        raise SetupFailed("Downloading Temporal: there is no network")

    monkeypatch.setattr(temporal, "_download", fail)


def test_one_on_the_path_is_taken(machine: Machine) -> None:
    machine.add("temporal")
    machine.add("go", BUILT)
    temporal.provide()
    assert machine.asked == []
    assert find_binary() == machine.programs / "temporal"


def test_it_is_built_where_it_cannot_be_downloaded_and_found_from_then_on(machine: Machine) -> None:
    machine.add("go", BUILT)
    temporal.provide()
    assert find_binary() == machine.cache / "temporal"
    temporal.provide()
    assert machine.asked == [f"go install {temporal.SOURCE}"]


def test_a_download_is_enough(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(directory: Path) -> None:
        program = directory / "temporal-sdk-python-1.0"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    monkeypatch.setattr(temporal, "_download", download)
    machine.add("go", BUILT)
    temporal.provide()
    assert machine.asked == []
    assert find_binary() == machine.cache / "temporal"


def test_what_does_not_run_is_not_put_into_place(machine: Machine) -> None:
    machine.add("go", BUILT.replace("#!/bin/sh", "#!/bin/sh\\nexit 1"))
    with pytest.raises(SetupFailed, match="Trying Temporal: exit code 1"):
        temporal.provide()
    assert list(machine.cache.iterdir()) == []


def test_what_an_interrupted_run_left_is_removed(machine: Machine) -> None:
    half = machine.cache / "new-half"
    half.mkdir(parents=True)
    (half / "temporal").write_text("half of it")
    machine.add("go", BUILT)
    temporal.provide()
    assert [file.name for file in machine.cache.iterdir()] == ["temporal"]


def test_without_any_way_all_reasons_are_told(machine: Machine) -> None:
    with pytest.raises(SetupFailed) as failed:
        temporal.provide()
    for reason in ("there is no network", "there is no program 'go'", "STRATAVORE_TEMPORAL__ADDRESS"):
        assert reason in str(failed.value)


def test_a_named_program_must_be_one(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_TEMPORAL__BINARY", "/nowhere/temporal")
    with pytest.raises(SetupFailed, match="names /nowhere/temporal, which is no program"):
        temporal.provide()


def test_a_server_elsewhere_needs_no_program(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_TEMPORAL__ADDRESS", "temporal.example:7233")
    machine.add("go", BUILT)
    temporal.provide()
    assert machine.asked == []


def test_a_file_names_a_server_as_well_as_a_variable(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "stratavore.yaml"
    file.write_text("temporal:\n  address: temporal.example:7233\n")
    file.chmod(0o600)
    monkeypatch.setenv("STRATAVORE_CONFIG", str(file))
    temporal.provide()
    file.write_text("temporal:\n  addres: temporal.example:7233\n")
    with pytest.raises(SetupFailed, match=r"line 2: there is no setting 'temporal.addres'; did you mean 'address'"):
        temporal.provide()
