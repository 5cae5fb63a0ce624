"""Whose turn it is to look, where several daemons use one database: a row per watcher, with a lease.

Owns the table ``aixwatch``.  Must not: look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from .notices import TimeOfDay, moment, stamp

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.transaction import Transaction

TABLE = "aixwatch"

#: Somebody who looked less than this part of an interval ago need not be followed.
_FRESH = 0.5


@dataclass(frozen=True, slots=True)
class WatchTurns:
    """The turns of one daemon, which ``owner`` names among all of them."""

    db: Database
    clock: TimeOfDay
    owner: str

    def take(self, kind: str, interval: float, lease: float) -> bool:
        """Whether this daemon is to look now; it has ``lease`` seconds for it then."""
        now = self.clock.now()
        with self.db.transaction(TABLE) as transaction:
            rows = transaction.select(TABLE, {"type": kind})
            row = rows[0] if rows else {}
            if _is_taken(row.get("lease"), now, lease):
                return False
            if _is_fresh(row.get("looked"), now, interval):
                return False
            mine = {"type": kind, "owner": self.owner, "lease": stamp(now + _seconds(lease))}
            if rows:
                transaction.update(TABLE, {"type": kind}, mine)
            else:
                transaction.insert(TABLE, [{**mine, "looked": ""}])
        return True

    def end(self, transaction: Transaction, kind: str) -> bool:
        """The look is over, within ``transaction`` on :data:`TABLE`; False if the turn was no longer ours."""
        mine = {"type": kind, "owner": self.owner}
        values = {"owner": "", "lease": "", "looked": stamp(self.clock.now())}
        return transaction.update(TABLE, mine, values) > 0


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def _is_taken(lease: str | None, now: datetime, longest: float) -> bool:
    """What no daemon can have taken, were its clock ahead by as much as a turn is long, holds nobody up."""
    until = moment(lease)
    return until is not None and now < until <= now + _seconds(2 * longest)


def _is_fresh(looked: str | None, now: datetime, interval: float) -> bool:
    """Of a clock that was set back nothing is known: a look in the future is none."""
    then = moment(looked)
    if then is None:
        return False
    age = now - then
    return timedelta() <= age < _seconds(interval * _FRESH)
