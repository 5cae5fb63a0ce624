"""What can go wrong with the database, in words for users."""

from __future__ import annotations


class DatabaseError(Exception):
    """The database cannot be found, opened, read or written; the message says what to do next."""


class BrokenValue(DatabaseError):
    """A stored expression cannot be worked out in time, so nobody knows the value."""

    def __init__(self, table: str, row: str, column: str, why: object) -> None:
        super().__init__(f"no value for table {table}, row {row}, column {column}: {why}")


class ChangedMeanwhile(DatabaseError):
    """Guarded cells no longer hold the values a plan was computed from; nothing was written.

    ``cells`` names each one: ``noderes node=n1 servicenode: read 'a', now 'b'``.
    """

    #: How many cells the message itself names; ``cells`` has all.
    SHOWN = 6

    def __init__(self, cells: tuple[str, ...]) -> None:
        self.cells = cells
        shown = "; ".join(cells[: self.SHOWN])
        more = len(cells) - self.SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        super().__init__(
            f"cannot write the database, it was changed meanwhile: {shown}{tail}. "
            "Nothing was written; run the command again"
        )


class BadNameError(DatabaseError):
    """A name of a node or group that no table takes; nothing is written."""
