"""An AIX cluster simulated on one machine: for the demo, the tests and rehearsals."""

from __future__ import annotations

__version__ = "0.1.0"
