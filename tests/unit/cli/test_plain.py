from hypothesis import given
from hypothesis import strategies as st

from cli.plain import Plain, drawn, plain

SAMPLES = [
    (b"plain\r\nlines\r\n", "plain\nlines\n"),
    (b"\x1b[1;31mred\x1b[0m\r\n", "red\n"),
    (b"\x1b]0;a title\x07text", "text"),
    (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
    (b"\x1bP+q544e\x1b\\after", "after"),
    (b"\x1b(B\x1b=\x1b>\x1b7ok\x1b8", "ok"),
    (b"far\x1b[3Capart\x1b[Cand near\r\n", "far   apart and near\n"),
    (b"bell\x07 tab\there", "bell tab\there"),
    ("\x1b[2m日本語\x1b[22m é\r\n".encode(), "日本語 é\n"),
    (b"not utf-8: \xff\r\n", "not utf-8: \ufffd\n"),
]


def test_escapes_are_taken_out() -> None:
    for content, text in SAMPLES:
        assert plain(content) == text, content


def test_a_line_that_was_written_over_is_its_last_version() -> None:
    assert plain(b"10 %\r50 %\r100 %\r\ndone\r\n") == "100 %\ndone\n"


@given(content=st.lists(st.sampled_from([content for content, _ in SAMPLES])), size=st.integers(1, 7))
def test_a_stream_is_the_same_however_it_is_cut(content: list[bytes], size: int) -> None:
    whole = b"".join(content) + b"."
    stream = Plain()
    assert "".join(stream.feed(whole[i : i + size]) for i in range(0, len(whole), size)) == plain(whole)


def test_a_text_that_never_ends_an_escape_is_not_held_back_for_ever() -> None:
    stream = Plain()
    stream.feed(b"\x1b]")
    assert "x" in "".join(stream.feed(b"x" * 1000) for _ in range(10))


def test_screens_are_told_from_lines() -> None:
    assert drawn(b"\x1b[?1049h") and drawn(b"a\x1b[3A") and drawn(b"\x1b[10;1Hx")
    assert not drawn(b"\x1b[32mgreen\x1b[0m\x1b[K\r\n")
