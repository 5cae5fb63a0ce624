"""Texts of :mod:`.descriptions`."""

from .db import schema

TABLES = "\n".join(f"{t}: x" for t in schema.TABLES)
COLUMNS = "a: b"
