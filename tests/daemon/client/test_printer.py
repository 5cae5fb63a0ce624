"""The printing rules that no recorded exchange shows."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.client import main
from xcatd.client.printer import Printer, encode, harmless, write
from xcatd.wire.tree import Tree


def _printed(
    *responses: Tree, shows_server: bool = False, is_terminal: bool = False
) -> tuple[str, str, int]:
    out, err = io.BytesIO(), io.BytesIO()
    printer = Printer(out, err, shows_server=shows_server, is_terminal=is_terminal)
    for response in responses:
        printer.show(response)
    printer.clear_progress()
    return out.getvalue().decode("latin-1"), err.getvalue().decode("latin-1"), printer.status


def test_base64_data_is_decoded() -> None:
    node: Tree = {"name": ["n1"], "base64_data": ["aGVsbG8="]}
    assert _printed({"node": [node]}) == ("n1: hello\n", "", 0)


@pytest.mark.parametrize(
    ("response", "out"),
    [
        ({"node": ["n1"]}, ""),
        ({"node": [None]}, ""),
        ({"node": [{"data": ["x"]}]}, ": x\n"),
        ({"node": [{"name": ["n"], "data": ["first", "second"]}]}, "n: first\n"),
        ({"node": [{"name": ["n"], "data": [{"desc": [None], "contents": ["c"]}]}]}, "n: : c\n"),
        ({"data": [{"desc": ["d"]}]}, "d\n"),
        ({"data": [{"token": [{"id": ["t"]}]}]}, ""),
        ({"xcatdsource": ["mn"]}, ""),
        ({"errorcode": ["7x"], "info": ["i"]}, "i\n"),
    ],
)
def test_unusual_shapes(response: Tree, out: str) -> None:
    assert _printed(response)[0] == out


@pytest.mark.parametrize(
    ("codes", "status"),
    [(["1", "2"], 3), (["256"], 256), ([None], 0), (["x"], 0), (["4x"], 4), ([" 8"], 8)],
)
def test_error_codes_are_joined(codes: list[str | None], status: int) -> None:
    assert _printed({"errorcode": [*codes]})[2] == status


def test_progress_is_overwritten_on_a_terminal_only() -> None:
    responses: list[Tree] = [{"sinfo": ["1 of 2"]}, {"sinfo": ["2 of 2"]}, {"info": ["done"]}]
    clear = "\r\x1b[K"
    shown = f"{clear}1 of 2{clear}2 of 2{clear}done\n"
    assert _printed(*responses, is_terminal=True)[0] == shown
    assert _printed(*responses)[0] == "1 of 2\r2 of 2\rdone\n"
    assert _printed({"sinfo": ["x"]}, is_terminal=True)[0] == f"{clear}x{clear}"


def test_text_beyond_latin_1_is_printed_as_utf_8() -> None:
    assert encode("é") == b"\xe9"
    assert encode("日") == "日".encode()


_VALUES = st.recursive(
    st.none() | st.text(max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(["name", "data", "desc", "contents", "error", "warning", "errorcode"]),
        st.lists(inner, min_size=1, max_size=2),
        max_size=3,
    ),
    max_leaves=8,
)
_TREES = st.dictionaries(
    st.sampled_from(
        [
            *("error", "warning", "info", "sinfo", "node", "data", "errorcode"),
            *("host", "xcatdsource", "NoErrorPrefix", "base64_data"),
        ]
    ),
    st.lists(_VALUES, min_size=1, max_size=2),
    max_size=5,
)


@given(_TREES, st.booleans(), st.booleans())
def test_no_response_breaks_the_printer(tree: Tree, shows: bool, terminal: bool) -> None:
    out, err, _ = _printed(tree, shows_server=shows, is_terminal=terminal)
    assert isinstance(out + err, str)


EVIL = "a\x1b]0;x\x07b\x1b[2J\rc\x08\x7fd\x9b2Je\u202ef\u2066\tg"
SHOWN = "a?]0;x?b?[2J?c??d?2Je?f?\tg"
EVERYWHERE: Tree = {
    **{name: [EVIL] for name in ("error", "warning", "info", "sinfo", "data", "xcatdsource")},
    "node": [
        {"name": [EVIL], "data": [EVIL]},
        {"name": [EVIL], "data": [{"desc": [EVIL], "contents": [EVIL]}]},
        {"name": ["n"], "base64_data": ["G1sySg=="]},
        {"name": [EVIL], "error": [EVIL]},
    ],
}


def _shown(*, out: bool, err: bool) -> tuple[bytes, bytes]:
    streams = io.BytesIO(), io.BytesIO()
    printer = Printer(*streams, shows_server=True, is_terminal=out, errors_on_terminal=err)
    printer.show(EVERYWHERE)
    return streams[0].getvalue(), streams[1].getvalue()


def test_nothing_the_server_says_commands_a_terminal() -> None:
    out, err = _shown(out=True, err=True)
    assert SHOWN.encode() in out
    out = out.replace(b"\r\x1b[K", b"")  # our own
    assert all(byte in b"\t\n" or 0x20 <= byte < 0x7F for byte in out + err)


def test_each_stream_is_judged_by_itself() -> None:
    out, err = _shown(out=False, err=True)
    assert b"\x1b[2J" in out
    assert b"\x1b" not in err
    out, err = _shown(out=True, err=False)
    assert b"\x1b[2J" in err
    assert b"\x1b[2J" not in out


class Terminal(io.StringIO):
    """Standard output as a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = io.BytesIO()

    def isatty(self) -> bool:
        return True


def test_other_ways_to_a_terminal_are_as_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    write(terminal, EVIL)
    write(pipe, EVIL)
    assert (terminal.getvalue(), pipe.getvalue()) == (SHOWN, EVIL)
    monkeypatch.setattr("sys.stdout", terminal)
    main._write(EVIL)  # raw XML, for those who ask for it
    assert terminal.buffer.getvalue() == SHOWN.encode()


def test_a_progress_line_stays_one_line() -> None:
    out, _, _ = _printed({"sinfo": ["1\n2\x1b[A"]}, is_terminal=True)
    assert out == "\r\x1b[K1 2?[A\r\x1b[K"


@given(st.text(max_size=30))
def test_what_is_harmless_stays(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert all(new in {old, "?"} for new, old in zip(shown, text, strict=True))
    assert harmless("é ü 日本\ta\nb") == "é ü 日本\ta\nb"
