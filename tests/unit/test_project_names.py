import pytest

from cli.main import COMMANDS
from stratavore.errors import InvalidName
from stratavore.project_names import RESERVED, check_project_name


def test_no_project_is_called_like_a_command() -> None:
    assert set(COMMANDS) | {"all", "global", "help"} == RESERVED


@pytest.mark.parametrize("name", ["a", "site", "My.site_2-b", "9", "x" * 64])
def test_good_names(name: str) -> None:
    check_project_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("runners", "that word has a meaning"),
        ("all", "that word has a meaning"),
        ("x" * 65, "it has 65 characters"),
        ("a/b", "it holds '/'"),
        ("a b", "it holds ' '"),
        ("a\n", r"it holds '\n'"),
        ("é", "it holds 'é'"),
        ("-a", "it begins with '-'"),
        (".a", "it begins with '.'"),
    ],
)
def test_bad_names_are_refused_with_their_fault(name: str, reason: str) -> None:
    with pytest.raises(InvalidName, match="cannot be a project's name") as raised:
        check_project_name(name)
    assert reason in str(raised.value)
