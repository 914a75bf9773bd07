"""Screens that are not in the corpus, and whatever else a terminal may show."""

from hypothesis import given
from hypothesis import strategies as st

from stratavore.agents.adapter import Question
from stratavore.agents.claude.adapter import Claude
from stratavore.agents.claude.questions import answer_to
from stratavore.agents.claude.screen import Shows, read_screen
from tests.claude_code.corpus import recorded

RULE = "─" * 80
BOX = f"{RULE}\n❯\u00a0%s\n{RULE}\n  ⏸ manual mode on%s\n"
PLAN = f"""
❯ plan it

{"▔" * 80}

  {RULE[:76]}
   Exit plan mode?

   Claude wants to exit plan mode

   ❯ 1. Yes, and switch to default (ask each time) for this session
     2. No
"""
COLOURS = f"""{RULE}
 ☐ Colour

Which colour do you want?

❯ 1. Red
     like fire
  2. Dark red
  3. Type something.
{RULE}
  4. Chat about this

Enter to select · ↑/↓ to navigate · Esc to cancel
"""


def question(screen: str) -> Question:
    found = read_screen(screen)
    assert found.shows is Shows.QUESTION and found.question is not None
    return found.question


def test_a_box_with_what_is_typed_in_it() -> None:
    assert read_screen(BOX % ("", " · ? for shortcuts")).shows is Shows.BOX
    assert read_screen(BOX % ("one\n  two", "")).typed == "one\ntwo"
    assert read_screen(BOX % ("", " · esc to interrupt")).shows is Shows.WORK
    spinner = "❯ one\n\n✶ Wibbling… (1s · ↓ 6 tokens)\n\n"
    assert read_screen(spinner + BOX % ("half a thought", "")).shows is Shows.WORK
    assert read_screen("● Working…\n✻ Baked for 1s · done 8:58 PM\n" + BOX % ("", "")).shows is Shows.BOX
    shell = read_screen((BOX % ("echo hi", "")).replace("❯", "!"))
    assert (shell.shell, shell.typed) == (True, "echo hi")


def test_a_dialog_without_a_footer() -> None:
    asked = question(PLAN)
    assert asked.text == "Exit plan mode?\nClaude wants to exit plan mode"
    assert [(one.key, one.chosen) for one in asked.options] == [("1", True), ("2", False)]


def test_numbers_in_the_conversation_are_no_question() -> None:
    said = "❯ 1. first this\n  2. then that\n\n● Done.\n\n"
    assert read_screen(said + BOX % ("", "")).shows is Shows.BOX
    assert read_screen(said + BOX % ("1. typed", "")).shows is Shows.BOX
    limit = "⚠ Usage limit reached\n  Continuing automatically at 10:52pm · Esc to cancel\n"
    assert read_screen(said + BOX % ("", "") + limit).shows is Shows.BOX


def test_answers_by_number_label_or_words() -> None:
    asked = question(COLOURS)
    given = {text: answer_to(asked, text) for text in ("2", " red ", "DARK", "green", "4", "", "Chat about this")}
    keys = {text: answer and (tuple(answer.keys), answer.text) for text, answer in given.items()}
    assert keys == {
        "2": (("2",), None),
        " red ": (("1",), None),
        "DARK": (("2",), None),
        "green": (("3",), "green"),
        "4": (("4",), None),
        "": None,
        "Chat about this": (("4",), None),
    }
    assert answer_to(question(PLAN), "perhaps") is None


def test_options_without_numbers_are_gone_to() -> None:
    trust = "Is this yours?\n\n❯ No, exit\n  Yes, I trust this folder\n\nEnter to confirm · Esc to cancel\n"
    answer = answer_to(question(trust), "yes")
    assert answer is not None and tuple(answer.keys) == ("Down", "Enter")


def test_every_recorded_screen_with_a_box_can_be_emptied() -> None:
    claude = Claude()
    for one in recorded():
        for seen in one.screens:
            box = claude.box(seen.text)
            assert bool(box.typed) == bool(claude.keys_to_clear(box))
            assert not (box.ready and box.question)


@given(
    st.lists(
        st.sampled_from([RULE, "❯ ", "❯ 1. a", "  2. b", "Esc to cancel", "esc to interrupt", "! x", "", "▔" * 30])
    )
)
def test_no_screen_is_too_strange(lines: list[str]) -> None:
    found = read_screen("\n".join(lines))
    assert (found.question is not None) == (found.shows is Shows.QUESTION)


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    read_screen(text)
