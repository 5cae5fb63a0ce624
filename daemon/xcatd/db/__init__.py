"""The existing xCAT database: location, schema, reading rules, guarded writes."""

from .errors import ChangedMeanwhile, DatabaseError

__all__ = ["ChangedMeanwhile", "DatabaseError"]
