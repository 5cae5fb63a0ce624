"""The daemon of the wire's tests, under attack."""

from __future__ import annotations

from tests.daemon.serving.conftest import authority, filled, prepared, start

__all__ = ["authority", "filled", "prepared", "start"]
