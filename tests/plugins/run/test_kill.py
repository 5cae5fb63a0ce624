"""``kill -9`` of the working process at every boundary, then a new process that resumes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(120)
def test_a_new_process_finishes_what_a_killed_one_left(tmp_path: Path) -> None:
    driver = Path(__file__).with_name("driver.py")
    done = subprocess.run(
        [sys.executable, driver, tmp_path], capture_output=True, text=True, check=True, timeout=110
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    *killed, undisturbed = lines
    assert undisturbed["killed"] == 0
    assert len(killed) > 20
    assert undisturbed["end"] == {
        "outcome": "ok",
        "cells": {"n1": "b", "n2": "b"},
        "made": ["n1.one", "n1.two", "n2.one", "n2.two"],
    }
    for boundary, line in enumerate(killed):
        assert line["killed"] == -signal.SIGKILL, (boundary, done.stderr)
        assert line["resumed"] == 0, (boundary, done.stderr)
        assert line["end"] == undisturbed["end"], boundary
