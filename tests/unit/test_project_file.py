import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.errors import InvalidInput, StratavoreError
from stratavore.launch_options import LaunchOptions, combine
from stratavore.project_file import NAME, ProjectFile, ProjectFileInvalid, Reference, read_project_file
from tests.support.servers import REPOSITORY

WHOLE = """\
agent: claude
model: opus
permission_mode: plan
arguments: ['--effort', 'high']
directories: ['library']
mcp_config: ['mcp.json']
host: build-2
environment:
  ANTHROPIC_API_KEY: {from: WORK_KEY}
  TOKEN: {file: token}
"""


def test_everything_it_can_say_is_understood(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "mcp.json").write_text("{}")
    (tmp_path / "token").write_text("from a file\n")
    (tmp_path / NAME).write_text(WHOLE)
    file = read_project_file(tmp_path)
    assert file.options() == LaunchOptions(
        agent="claude",
        argv=("--effort", "high"),
        model="opus",
        permission_mode="plan",
        directories=(str(tmp_path / "library"),),
        mcp_config=(str(tmp_path / "mcp.json"),),
        host="build-2",
    )
    assert file.resolved_environment({"WORK_KEY": "from the shell"}) == {
        "ANTHROPIC_API_KEY": "from the shell",
        "TOKEN": "from a file",
    }


@pytest.mark.parametrize("text", [None, "", "# nothing\n"])
def test_a_file_that_says_nothing_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / NAME).write_text(text)
    assert read_project_file(tmp_path).options() == LaunchOptions()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("agent: claude\nmodell: opus\n", 2, "there is no key 'modell'; did you mean 'model'?"),
        ("colour: red\n", 1, "there is no key 'colour'; there is: agent, model, arguments"),
        ("agent: claud\n", 1, "there is no agent 'claud'; there is: claude, command"),
        ("model: opus\n\nmodel: sonnet\n", 3, "'model' is there twice"),
        ("model: 4\n", 1, "'model' takes the name of a model"),
        (
            "agent: claude\narguments:\n  - --port\n  - 8080\n",
            4,
            "'arguments' takes a list of words, numbers in quotes",
        ),
        ("arguments: --verbose\n", 1, "'arguments' takes a list of words"),
        ("permission_mode: all\n", 1, "there is no permission mode 'all'; there is: default, acceptEdits, plan"),
        (
            "agent: command\npermission_mode: plan\n",
            2,
            "there is no permission mode 'plan'; the agent 'command' has none",
        ),
        ("- agent\n", 1, "keys with values are expected"),
        ("agent: 'claude\n", 2, "found unexpected end of stream"),
        ("environment:\n  KEY: sk-secret\n", 2, "'KEY' has no place of its value; say where it is, never what it is"),
        ("environment:\n  KEY: {form: X}\n", 2, "there is no key 'form'; did you mean 'from'?"),
        ("environment:\n  KEY: {from: X, file: y}\n", 2, "'KEY': say where it is, never what it is"),
        ("environment:\n  A B: {from: X}\n", 2, "'A B' is no name of a variable"),
        ("environment:\n  KEY: {from: X}\n  KEY: {from: Y}\n", 3, "'KEY' is there twice"),
        ("environment: [KEY]\n", 1, "'environment' takes variables, each with the place of its value"),
        ("model: 2020-13-45\n", 1, "a value looks like a date or a number and is none; quote it"),
        ("model: !!int secret\n", 1, "a value looks like a date or a number and is none; quote it"),
        ("model: !!python/object:os.system x\n", 1, "a value that begins with &, * or ! has to be quoted"),
        ("agent: claude\n1: x\n", 2, "a key is a word, such as 'agent'"),
        ("? [agent]\n: claude\n", 1, "a key is a word, such as 'agent'"),
        ("!!set {agent}\n", 1, "keys with values are expected"),
        ("[" * 3000, 1, "it is nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_what_is_right(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(StratavoreError) as refused:
        read_project_file(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / NAME}, line {line}: {reason}")
    assert "secret" not in str(refused.value)


@given(st.text(st.sampled_from("agentmodlirv:{}[]&*!?|>-#'\"\\ \n0129.,~<="), max_size=40))
def test_whatever_it_holds_is_understood_or_refused_in_a_sentence(text: str) -> None:
    with TemporaryDirectory() as directory, suppress(ProjectFileInvalid):
        (Path(directory) / NAME).write_text(text)
        read_project_file(Path(directory))


def test_what_it_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("directories: [nowhere]\nenvironment:\n  A: {from: B}\n")
    file = read_project_file(tmp_path)
    with pytest.raises(InvalidInput, match=f"There is no directory {tmp_path}/nowhere, which .*{NAME} names"):
        file.options()
    with pytest.raises(InvalidInput, match="takes A from the variable B, which is not set here"):
        file.resolved_environment({})
    (tmp_path / NAME).write_text("environment:\n  A: {file: b}\n")
    with pytest.raises(InvalidInput, match=r"takes A from the file .*/b: No such file"):
        read_project_file(tmp_path).resolved_environment({})


def test_every_key_is_documented() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", (REPOSITORY / "docs" / "project-file.md").read_text(), re.M))
    assert told == set(ProjectFile.model_fields)
    (row,) = re.findall(r"^\| `environment` \|.*", (REPOSITORY / "docs" / "project-file.md").read_text(), re.M)
    assert all(f"`{field.alias or name}`" in row for name, field in Reference.model_fields.items())


def test_the_example_in_the_documentation_is_right(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "project-file.md").read_text()
    (tmp_path / NAME).write_text(text.partition("```yaml\n")[2].partition("```")[0])
    assert read_project_file(tmp_path).agent == "claude"


def test_who_speaks_first_is_heard_first() -> None:
    typed = LaunchOptions(model="opus")
    file = LaunchOptions(model="sonnet", permission_mode="plan")
    project = LaunchOptions(agent="claude", argv=("-x",), permission_mode="default", directories=("/a",))
    assert combine(typed, file, project) == LaunchOptions(
        agent="claude", argv=("-x",), model="opus", permission_mode="plan", directories=("/a",)
    )


def test_what_was_said_of_another_agent_does_not_count() -> None:
    typed = LaunchOptions(agent="command", argv=("sh",))
    assert combine(typed, LaunchOptions(agent="claude", model="opus")) == typed
    file, project = LaunchOptions(agent="claude", model="opus"), LaunchOptions(agent="command", argv=("sh",))
    assert combine(LaunchOptions(), file, project) == file


def test_a_host_holds_for_any_agent() -> None:
    project = LaunchOptions(agent="claude", model="opus", host="build-1")
    typed = LaunchOptions(agent="command", argv=("sh",))
    assert combine(typed, project) == LaunchOptions(agent="command", argv=("sh",), host="build-1")
    assert combine(LaunchOptions(host="build-2"), project).host == "build-2"


def test_options_travel_as_json() -> None:
    options = LaunchOptions(agent="claude", directories=("/a", "/b"))
    assert options.as_json() == {"agent": "claude", "directories": ["/a", "/b"]}
    assert LaunchOptions.of(options.as_json()) == options
    with pytest.raises(InvalidInput, match="There is no option 'modle'"):
        LaunchOptions.of({"modle": "opus"})
