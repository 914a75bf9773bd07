from cli import reference
from stratavore import errors
from stratavore.errors import StratavoreError
from tests.support.servers import REPOSITORY


def test_the_reference_is_current() -> None:
    written = (REPOSITORY / "docs" / "cli.md").read_text()
    assert written == reference.reference(), "write it anew: python -m cli.reference > docs/cli.md"


def test_every_command_with_results_says_which() -> None:
    """A command has ``--format`` where the reference says what it prints, and nowhere else."""
    for section in (REPOSITORY / "docs" / "cli.md").read_text().split("\n### ")[1:]:
        assert ("`--format FORMAT`" in section) == ("\nFor programs: " in section), section.splitlines()[0]


def test_every_key_is_used() -> None:
    used = {f"{name}.{key}" for name, keys in reference.TYPES.items() for key in keys}
    used |= {key for keys in reference.TYPES.values() for key in keys}
    assert reference.KEYS.keys() <= used


def test_every_exit_code_is_told() -> None:
    known = {
        one.exit_code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, StratavoreError)
    }
    assert known | {0, 130} == reference.EXIT_CODES.keys()
