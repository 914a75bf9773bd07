import time

import pytest

from setup.progress import SetupFailed, report, run

TITLE = "Doing it"


def test_what_is_quick_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TITLE, ["echo", "hello"]) == ["hello"]
    assert capsys.readouterr() == ("", "")


def test_what_takes_over_a_second_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run(TITLE, ["sleep", "1.3"])
    assert capsys.readouterr().out == "Doing it …\nDoing it: done in 1 s.\n"


def test_a_failure_tells_the_end_of_the_output() -> None:
    with pytest.raises(SetupFailed) as failed:
        run(TITLE, ["sh", "-c", "seq 100; echo 'no \033[1mspace' >&2; exit 3"])
    message = str(failed.value)
    assert message.startswith("Doing it: exit code 3.\n  87\n")
    assert message.endswith("\n  no [1mspace")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(SetupFailed, match="no-such-program"):
        run(TITLE, ["no-such-program"])


def test_what_is_given_up_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(SetupFailed, match="Doing it: given up"):
        run(TITLE, ["sleep", "600"], give_up=lambda: True)
    assert time.monotonic() - began < 60


def test_a_failed_step_is_one_message_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise SetupFailed("There is no network.")

    assert report(fail) == 1
    assert capsys.readouterr().err == "Error: There is no network.\n"
    assert report(lambda: None) == 0
