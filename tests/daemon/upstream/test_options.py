"""The daemon's command line, as far as it is about ports and upstreams."""

from __future__ import annotations

import pytest

from xcatd.process import DaemonOptionError, parse_options


@pytest.mark.parametrize(
    "args", [["--port", "3011", "--upstream", "mn:3001"], ["--upstream=mn:3001", "--port=3011"]]
)
def test_both_spellings_of_a_value(args):
    options = parse_options(["-f", *args, "--unknown"])
    assert (options.foreground, options.port, options.upstream) == (True, 3011, "mn:3001")


def test_none_of_them_is_needed():
    options = parse_options(["-p", "/run/pid"])
    assert (options.port, options.upstream) == (None, None)


@pytest.mark.parametrize("text", ["", "x", "-1", "65536", "³"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(DaemonOptionError, match="--port"):
        parse_options(["--port", text])
