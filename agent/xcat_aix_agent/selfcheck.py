"""Which assumptions about this host hold: ``xcat-aix-agent selfcheck``."""

from __future__ import annotations

from typing import TextIO

from .config import AgentConfig


def main(config: AgentConfig, *, as_json: bool, output: TextIO) -> int:
    """Print one line per check; 0 if none does not hold, else 1."""
    raise NotImplementedError
