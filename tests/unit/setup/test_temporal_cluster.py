import pytest

from setup import temporal_cluster
from setup.progress import SetupFailed
from tests.unit.setup.conftest import Machine

BUILT = """\
case "$2" in */sql@*) name=sql ;; *) name=server ;; esac
printf '#!/bin/sh\\n' > "$GOBIN/$name"
chmod 755 "$GOBIN/$name"
"""


def test_both_programs_are_built_once(machine: Machine) -> None:
    machine.add("go", BUILT)
    temporal_cluster.provide()
    built = [f"go install go.temporal.io/server/cmd/{one}@v1.29.1" for one in ("server", "tools/sql")]
    assert machine.asked == built
    places = {temporal_cluster.SERVER.place, temporal_cluster.SCHEMA.place}
    assert set(machine.cache.iterdir()) == places
    temporal_cluster.provide()
    assert machine.asked == built


def test_a_program_that_does_not_run_is_not_put_into_place(machine: Machine) -> None:
    machine.add("go", BUILT.replace("#!/bin/sh", "#!/bin/sh\\nexit 1"))
    with pytest.raises(SetupFailed, match="Trying temporal-server: exit code 1"):
        temporal_cluster.provide()
    assert list(machine.cache.iterdir()) == []


def test_without_go_it_says_what_to_install(machine: Machine) -> None:
    with pytest.raises(SetupFailed, match="there is no program 'go'"):
        temporal_cluster.provide()
