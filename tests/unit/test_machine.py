from pathlib import Path

from stratavore.machine import _meminfo, measure


def test_a_machine_has_no_more_free_than_it_has(tmp_path: Path) -> None:
    found = measure(tmp_path)
    assert 0 < found.memory_available_mb <= found.memory_mb
    assert 0 < found.disk_free_mb <= found.disk_mb
    assert found.processors >= 1
    assert found.load >= 0


def test_sizes_as_linux_writes_them() -> None:
    assert _meminfo("MemTotal:        2097152 kB\nHugePages_Total:       0\n") == {
        "MemTotal": 2048,
        "HugePages_Total": 0,
    }
