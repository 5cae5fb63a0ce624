"""The AIX commands, as plugins of xcatd: planned as data, then executed from a journal."""

from __future__ import annotations

__version__ = "0.1.0"
