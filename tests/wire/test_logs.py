"""Logging: request ids, and floods that stay small."""

from __future__ import annotations

import logging

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
