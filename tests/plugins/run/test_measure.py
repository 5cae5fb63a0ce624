from __future__ import annotations

from pathlib import Path

from .measure import measure


def test_commits_are_shared_and_connections_bounded(tmp_path: Path) -> None:
    """100 lanes of 5 steps are 1000 intents and outcomes, and waits of 6 commits each lane."""
    figures = measure(tmp_path, lanes=100, steps=5, fanout=50)
    assert figures.outcome == "ok"
    assert figures.events == 2 + 2 + 100 * 5 * 3
    assert figures.most_connections <= 50
    assert figures.commits < 150
