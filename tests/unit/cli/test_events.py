import json
from datetime import datetime

from cli.events import KEYS, from_cloud_event
from stratavore.errors import EXIT_UNAVAILABLE
from stratavore.events.envelope import EventRow
from stratavore.models.views import EventView
from tests.unit.cli.conftest import Run, Serve
from tests.unit.cli.examples import FIRST, NOW

ROW = EventRow(
    id="0d4e8a3e-0000-4000-8000-000000000003",
    session_id=FIRST,
    sequence=7,
    key="1/ended",
    type="runner.failed",
    project="site",
    time=NOW.replace(microsecond=123456),
    data={"exit_code": 1, "reason": "it was killed"},
)
ALERT = EventRow(
    id="0d4e8a3e-0000-4000-8000-000000000004",
    session_id=None,
    sequence=0,
    key="refused/1",
    type="system.alert",
    project="",
    time=NOW.replace(microsecond=123456),
    data={"severity": "error"},
)


def test_an_event_is_the_same_listed_and_delivered() -> None:
    for row in (ROW, ALERT):
        listed = EventView(**{name: getattr(row, name) for name in KEYS}).model_dump(mode="json")
        assert from_cloud_event(json.loads(row.signed(b"k").body())) == listed


def test_delivered_events_are_shown_in_one_line_each(fake: Serve, run: Run) -> None:
    daemon = fake(subscribe=lambda pattern: iter([ROW.cloud_event(), ALERT.cloud_event()]))
    result = run("events", "subscribe", "#.site")
    assert daemon.asked("subscribe") == [{"pattern": "#.site"}]
    first, second = result.out.splitlines()
    assert first.split(maxsplit=1)[1] == f'runner.failed  site  {FIRST[:8]}  exit_code=1 reason="it was killed"'
    assert second.split(maxsplit=1)[1].split() == ["system.alert", "-", "severity=error"]
    assert result.code == EXIT_UNAVAILABLE  # the daemon ended, and nobody asked for that


def test_delivered_events_in_json_have_the_keys_of_lists(fake: Serve, run: Run) -> None:
    fake(subscribe=lambda pattern: iter([ROW.cloud_event()]), list_events=[from_cloud_event(ROW.cloud_event())])
    delivered = json.loads(run("events", "subscribe", "--format", "json").out)
    (listed,) = json.loads(run("events", "list", "--format", "json").out)
    assert delivered == listed
    assert list(delivered) == list(KEYS)
    assert delivered["session_id"] == FIRST
    assert datetime.fromisoformat(delivered["time"]) == ROW.time


def test_a_list_asks_for_what_was_typed(fake: Serve, run: Run) -> None:
    daemon = fake(list_events=[])
    result = run("events", "list", "runner.#", "--project", "site", "--limit", "5")
    assert daemon.asked("list_events") == [{"project": "site", "pattern": "runner.#", "limit": 5}]
    assert (result.code, result.out.strip() or result.err.strip()) == (0, "No events.")


def test_who_sends_refused_events_again_is_told_how_many(fake: Serve, run: Run) -> None:
    daemon = fake(revive_events={"revived": 1})
    assert run("events", "revive").out == "1 event is sent again.\n"
    assert json.loads(run("events", "revive", "--format", "json").out) == {"revived": 1}
    assert daemon.asked("revive_events") == [{}, {}]
