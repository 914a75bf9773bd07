import textwrap

from hypothesis import given
from hypothesis import strategies as st

from stratavore.runtime.last_words import LONGEST_LINE, last_words


def test_what_a_terminal_would_obey_is_left_out() -> None:
    assert last_words("\x1b[31mred\x07\n\n a\tb \n", {}) == "[31mred\n a    b"


def test_secrets_of_the_session_are_left_out() -> None:
    environment = {"ANTHROPIC_API_KEY": "sk-ant-12345678", "PATH": "/usr/bin:/bin", "PIN_TOKEN": "1234"}
    said = last_words("bad key sk-ant-12345678 in /usr/bin:/bin (1234)", environment)
    assert said == "bad key **** in /usr/bin:/bin (1234)"


def test_a_secret_that_holds_another_is_left_out_whole() -> None:
    environment = {"A_SECRET": "aaaaaaaa", "B_SECRET": "aaaaaaaabbbb"}
    assert last_words("aaaaaaaabbbb", environment) == "****"


@given(text=st.text(max_size=5000), secret=st.text(min_size=8, max_size=20))
def test_whatever_was_shown_it_is_short_plain_and_without_the_secret(text: str, secret: str) -> None:
    lines = last_words(text + secret, {"MY_PASSWORD": secret}).split("\n")
    assert len(lines) <= 15
    assert all(len(line) <= LONGEST_LINE and (not line or line.isprintable()) for line in lines)
    if len("".join(secret.replace("|", "").replace("│", "").split())) >= 8 and "*" not in secret:
        assert secret not in "\n".join(lines)


@given(
    before=st.text("ab ", max_size=200),
    secret=st.text("ghijklmnopqrstuvwxyz-_/+=1234567890", min_size=12, max_size=120),
    columns=st.integers(20, 200),
    frame=st.sampled_from(["", "│ ", "    "]),
)
def test_a_secret_that_a_terminal_breaks_into_lines_is_left_out(
    before: str, secret: str, columns: int, frame: str
) -> None:
    text = f"{before}{secret} ab"
    rows = [text[start : start + columns] for start in range(0, len(text), columns)]
    shown = textwrap.indent("\n".join(rows), frame)
    assert set(last_words(shown, {"A_TOKEN": secret})) <= set("ab *│\n")


def test_a_secret_of_several_lines_is_left_out_however_it_is_shown() -> None:
    environment = {"DEPLOY_KEY": "-----BEGIN-----\nabcdefgh\tijkl\n-----END-----\n"}
    for shown in ("-----BEGIN-----\nabcdefgh    ijkl\n-----END-----", "-----BEGIN----- abcde\nfgh ijkl -----END-----"):
        assert last_words(f"it is {shown}.", environment) == "it is ****."
