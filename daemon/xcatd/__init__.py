"""A Python xcatd: wire protocol, policy, database, noderange and plugin host.

It knows no plugin by name; plugins import :mod:`xcatd.api` and nothing else of this package.
"""

from __future__ import annotations

__version__ = "0.1.0"
