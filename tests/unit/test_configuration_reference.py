"""What is written of the settings."""

import re
from pathlib import Path

import pytest

from cli import configuration_reference
from stratavore.config.file import read_file
from stratavore.config.keys import SECTIONS, SETTINGS
from stratavore.config.settings import Settings
from tests.support.servers import REPOSITORY

EXAMPLE = REPOSITORY / "deploy/stratavore.yaml"


def test_the_reference_is_current() -> None:
    written = (REPOSITORY / "docs/configuration.md").read_text()
    assert written == configuration_reference.reference(), (
        "write it anew: python -m cli.configuration_reference > docs/configuration.md"
    )


def test_the_example_is_current() -> None:
    assert EXAMPLE.read_text() == configuration_reference.example(), (
        "write it anew: python -m cli.configuration_reference example > deploy/stratavore.yaml"
    )


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_has_a_meaning_and_a_value_to_show(key: str) -> None:
    setting = SETTINGS[key]
    assert re.fullmatch(r"[A-Z`].+\.", setting.field.description or ""), "its description is no sentence"
    assert setting.default is not None or setting.field.examples, "it has neither default nor example"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_says_what_it_is_about(section: str) -> None:
    assert re.match(r"[A-Z].+\.", SECTIONS[section])


def test_the_example_says_nothing_as_it_is(tmp_path: Path) -> None:
    assert read_file(_copy(EXAMPLE.read_text(), tmp_path)) == {}


def test_the_example_is_right_when_all_is_set(tmp_path: Path) -> None:
    said = read_file(_copy(re.sub(r"(?m)^( *)#(\w+:)", r"\1\2", EXAMPLE.read_text()), tmp_path))
    assert said.keys() == SETTINGS.keys()
    nested: dict[str, object] = {name: {} for name in SECTIONS}
    for key, (value, _) in said.items():
        section, _, name = key.rpartition(".")
        place = nested[section] if section else nested
        assert isinstance(place, dict)
        place[name] = value
        assert SETTINGS[key].default in (None, value)
    Settings.model_validate(nested)


def _copy(text: str, directory: Path) -> Path:
    path = directory / "stratavore.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return path
