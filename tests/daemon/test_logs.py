"""Logging: request ids, and floods that stay small."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import pytest

from xcatd import logs


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("xcatd.serving.server", logging.INFO, __file__, 1, message, None, None)


def test_every_line_names_its_request() -> None:
    add = logs.AddRequestId()
    outside, inside = _record("a"), _record("b")
    add.filter(outside)
    with logs.request_id("r7"):
        add.filter(inside)
    assert (vars(outside)["request"], vars(inside)["request"]) == ("-", "r7")


def test_a_flood_of_one_wording_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    throttle = logs.Throttle()
    records = [_record("dropped") for _ in range(500)]
    passed = [record for record in records if throttle.filter(record)]
    assert len(passed) == logs.BURST
    assert "left out" in passed[-1].getMessage()
    assert throttle.filter(_record("another wording"))
    now[0] = logs.PERIOD + 1
    assert throttle.filter(_record("dropped"))


def test_set_up_in_the_foreground_writes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    try:
        logs.set_up(foreground=True, debug=False)
        logging.getLogger("xcatd.x").info("hello")
        logging.getLogger("xcatd.x").debug("not this")
        assert "INFO [-] xcatd.x: hello" in capsys.readouterr().err
        logs.set_up(foreground=False, debug=True)
        logging.getLogger("xcatd.x").debug("nor this")
        assert capsys.readouterr().err == ""
    finally:
        root.handlers[:], level = kept
        root.setLevel(level)
        for name in ("xcatd.serving.server", "xcatd.serving.session"):
            logging.getLogger(name).filters.clear()


EVIL = "a\nb\rc\x00d\x1b[2Je\x7ff\x85g\x9bh\u2028i\u202ej\u2066k\t"
SHOWN = r"a\x0ab\x0dc\x00d\x1b[2Je\x7ff\x85g\x9bh\u2028i\u202ej\u2066k\x09"


def test_a_message_is_one_line_that_commands_nothing() -> None:
    formatter = logs.LineFormatter("%(name)s: %(message)s")
    assert formatter.format(_record(EVIL)) == f"xcatd.serving.server: {SHOWN}"
    assert logs.escaped("\ud800") == r"\ud800"
    assert logs.escaped("é ü 日本 \\n") == "é ü 日本 \\n"


def test_an_endless_message_is_cut() -> None:
    line = logs.LineFormatter("%(message)s").format(_record("x" * 1_000_000))
    assert len(line) < logs.LONGEST + 100
    assert line.endswith("(1000000 characters)")


def _failed(text: str) -> logging.LogRecord:
    error = ValueError(text)
    try:
        raise error
    except ValueError:
        where = sys.exc_info()
    return logging.LogRecord("xcatd.x", logging.ERROR, __file__, 1, "failed", None, where)


def test_a_traceback_stays_readable_and_forges_no_line() -> None:
    evil = "x\n2026-11-28 xCAT: Allowing all for evil\x1b[2J"
    first, *others = logs.LineFormatter("%(message)s").format(_failed(evil)).split("\n")
    assert first == "failed"
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-2:] == [
        "    ValueError: x",
        r"    2026-11-28 xCAT: Allowing all for evil\x1b[2J",
    ]
    assert all(line.startswith("    ") for line in others)


def test_what_another_formatter_made_of_a_traceback_is_not_taken() -> None:
    record = _failed("x\x1b")
    logging.Formatter("%(message)s").format(record)
    assert "\x1b" not in logs.LineFormatter("%(message)s").format(record)


def test_every_handler_has_this_formatter(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    syslog = logging.NullHandler()
    syslog.setFormatter(logs.LineFormatter("%(message)s"))
    monkeypatch.setattr(logs, "_syslog_handler", lambda: syslog)
    try:
        logs.set_up(foreground=True, debug=True)
        assert len(root.handlers) == 2
        assert all(isinstance(handler.formatter, logs.LineFormatter) for handler in root.handlers)
    finally:
        root.handlers[:], level = kept
        root.setLevel(level)


class Later:
    """What a timer would do."""

    def __init__(self) -> None:
        self.jobs: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, job: Callable[[], None]) -> None:
        self.jobs.append((seconds, job))


def _about(source: str, message: str = "%s is dropped") -> logging.LogRecord:
    record = _record(message)
    record.source = source
    return record


def test_what_is_left_out_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logs.time, "monotonic", lambda: 0.0)
    later = Later()
    throttle = logs.Throttle(later)
    bad = [throttle.filter(_about("10.0.0.66")) for _ in range(1_000)]
    good = [throttle.filter(_about("10.0.0.1")) for _ in range(5)]
    assert (sum(bad), sum(good)) == (logs.BURST_OF_SOURCE, 5)  # one's flood does not hide another
    ((seconds, tell),) = later.jobs
    assert seconds == logs.PERIOD
    tell()
    count = 1_000 - logs.BURST_OF_SOURCE
    (line,) = caplog.messages
    assert line.startswith(f"{count} more lines like '%s is dropped' were left out")
    assert line.endswith(f", {count} of them about 10.0.0.66")
    assert throttle.filter(_about("10.0.0.66"))


def test_lines_about_many_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.time, "monotonic", lambda: 0.0)
    throttle = logs.Throttle(Later())
    passed = sum(throttle.filter(_about(f"host{number}")) for number in range(20_000))
    assert passed <= logs.BURST_OF_ALL
    assert len(throttle._period.passed_of) <= 1_025
    assert sum(map(len, throttle._period.left_out_of.values())) <= 1_025
