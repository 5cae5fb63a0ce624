"""Notices: what watchers told, until it is over; in the journal's database, for every management node of it.

Owns the table ``aixnotice`` and what a look changes of it.  Must not: look, or know a watcher.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from xcat_aix_proto.bounds import visible

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.transaction import Transaction

TABLE = "aixnotice"

#: Notices that are kept of one look, and letters of a name and of the words of each.
MOST, LONGEST_NAME, LONGEST_WORDS = 1_000, 128, 2_000
#: Notices that are heard of one look, and the most seconds that a notice may name: ten years.
MOST_HEARD, LONGEST_TIME = 10 * MOST, 315_576_000
#: How long a notice that is over is kept.
KEPT = timedelta(days=7)

#: The key under which a look tells that it told more than is kept.
_MORE = "(more)"

_DIGITS = 18

Row = Mapping[str, str | None]


class Level(enum.Enum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should know; ``key`` names it among those of its watcher, and stays the same.

    ``words`` are for people.  ``repeated_after``: seconds after which the log says it again while it is so and
    nobody acknowledged it.  ``expires``: seconds for which it stands though no look tells it again, for what is seen
    once; without it it is over as soon as a look does not tell it.  Raises TypeError or ValueError for other values.
    """

    key: str
    words: str
    node: str = ""
    level: Level = Level.WARNING
    repeated_after: int | None = None
    expires: int | None = None

    def __post_init__(self) -> None:
        """Whoever made a wrong one is to hear of it, not who stores it."""
        for name in ("key", "words", "node"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"the {name} of a notice is a text")
        if not isinstance(self.level, Level):
            raise TypeError("the level of a notice is one of Level")
        for name in ("repeated_after", "expires"):
            seconds = getattr(self, name)
            if seconds is not None and type(seconds) is not int:
                raise TypeError(f"{name} of a notice are whole seconds")
            if seconds is not None and not 0 <= seconds <= LONGEST_TIME:
                raise ValueError(f"{name} of a notice are 0 to {LONGEST_TIME} seconds")


@dataclass(frozen=True, slots=True)
class NoticeState:
    """A notice as it is kept; times are UTC ISO 8601.  ``over``: since when it is no more, else empty."""

    type: str
    notice: Notice
    since: str
    last: str
    times: int
    over: str = ""
    acknowledged: str = ""
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """What a look changed, for the log: what is new, what still is and is to be said again, what is over."""

    new: tuple[NoticeState, ...] = ()
    again: tuple[NoticeState, ...] = ()
    over: tuple[NoticeState, ...] = ()


class TimeOfDay(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Aware, UTC."""


def stamp(moment: datetime) -> str:
    """UTC ISO 8601 with microseconds: sorts as text."""
    return moment.isoformat(timespec="microseconds")


def moment(text: str | None) -> datetime | None:
    """The inverse of :func:`stamp`; None for what is no such text."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def bounded(told: Iterable[Notice]) -> Iterator[Notice]:
    """Each key once, at most :data:`MOST` and one that says there were more; each as :func:`storable`.

    Of more than :data:`MOST_HEARD` the rest is not heard, whatever their keys.
    """
    seen: set[str] = set()
    for count, each in enumerate(told):
        if not isinstance(each, Notice):
            raise TypeError(f"a watcher tells notices, not {type(each).__name__}")
        notice = storable(each)
        is_new = notice.key not in seen
        if (is_new and len(seen) >= MOST) or count >= MOST_HEARD:
            yield Notice(_MORE, f"there are more than {MOST} of these; the others are not kept")
            return
        if is_new:
            seen.add(notice.key)
            yield notice


def storable(notice: Notice) -> Notice:
    """Long names and words cut, and made visible what no terminal should get and not every engine stores."""
    return replace(
        notice,
        key=visible(notice.key[:LONGEST_NAME])[:LONGEST_NAME],
        words=visible(notice.words[:LONGEST_WORDS], "\n\t")[:LONGEST_WORDS],
        node=visible(notice.node[:LONGEST_NAME])[:LONGEST_NAME],
    )


class Notices:
    """The notices of a database.  Raises ``DatabaseError`` where that cannot be read or written."""

    def __init__(self, db: Database, clock: TimeOfDay) -> None:
        self._db = db
        self._clock = clock

    def list(self, *, with_over: bool = False) -> tuple[NoticeState, ...]:
        """What stands, the oldest first; with what is over, too."""
        found = map(_standing, self._db.select(TABLE, order=("since", "type", "key")))
        return tuple(each for each in found if with_over or not each.over)

    def acknowledge(self, kind: str, key: str, user: str) -> bool:
        """Somebody knows of it: the log repeats it no more.  False if nothing of that name stands."""
        values = {"acknowledged": stamp(self._clock.now()), "acknowledgedby": user}
        with self._db.transaction(TABLE) as transaction:
            where = {"id": _id(kind, key), "over": ""}
            return transaction.update(TABLE, where, values) > 0

    def settle(
        self,
        transaction: Transaction,
        kind: str,
        told: Sequence[Notice],
        about: Collection[str] | None = None,
    ) -> News:
        """What one look told becomes what stands, within ``transaction`` on :data:`TABLE`.

        What stands of this kind and was not told is over, unless it has yet to expire; a look that is ``about``
        these keys alone says nothing of the others.
        """
        now = self._clock.now()
        found = transaction.select(TABLE, {"type": kind})
        rows = {row["key"] or "": row for row in found if row["type"] == kind}
        settled = _Settled(kind, now, rows)
        changed: list[Row | None] = [settled.told(notice) for notice in told]
        names = {notice.key for notice in told}
        untold = {key: row for key, row in rows.items() if key not in names}
        changed += [settled.untold(untold[key]) for key in untold if about is None or key in about]
        old = set(_old(untold.values(), now))
        stored = [row for row in changed if row is not None and row["id"] not in old]
        if gone := (*old, *(row["id"] for row in stored)):
            transaction.delete(TABLE, {"id": gone})
        if stored:
            transaction.insert(TABLE, stored)
        return settled.news()


class _Settled:
    """What a look makes of the rows of its kind, and the news of it.  Pure."""

    def __init__(self, kind: str, now: datetime, rows: Mapping[str, Row]) -> None:
        self._kind = kind
        self._now = now
        self._rows = rows
        self._new: list[Row] = []
        self._again: list[Row] = []
        self._over: list[Row] = []

    def news(self) -> News:
        return News(*(tuple(map(_standing, each)) for each in (self._new, self._again, self._over)))

    def told(self, notice: Notice) -> Row:
        """The row of what a look told."""
        before = self._rows.get(notice.key)
        is_new = before is None or bool(before["over"])
        kept: Row = {} if before is None or is_new else before
        now = stamp(self._now)
        row = {
            "id": _id(self._kind, notice.key),
            "type": self._kind,
            "key": notice.key,
            "node": notice.node,
            "level": notice.level.value,
            "words": notice.words,
            "since": kept.get("since") or now,
            "last": now,
            "times": str((_number(kept.get("times")) or 0) + 1),
            "told": kept.get("told") or now,
            "repeats": None if notice.repeated_after is None else str(notice.repeated_after),
            "until": "" if notice.expires is None else self._after(notice.expires),
            "over": "",
            "acknowledged": kept.get("acknowledged") or "",
            "acknowledgedby": kept.get("acknowledgedby") or "",
        }
        if is_new:
            self._new.append(row)
        elif self._is_due(row):
            row["told"] = now
            self._again.append(row)
        return row

    def untold(self, row: Row) -> Row | None:
        """The row of what no look told any more; None where nothing changes."""
        until = moment(row["until"])
        if row["over"] or (until is not None and until > self._now):
            return None
        ended = {**row, "over": stamp(self._now)}
        self._over.append(ended)
        return ended

    def _is_due(self, row: Row) -> bool:
        repeats, since = _number(row["repeats"]), moment(row["told"])
        if repeats is None or row["acknowledged"]:
            return False
        return since is None or self._now - since >= timedelta(seconds=repeats)

    def _after(self, seconds: int) -> str:
        return stamp(self._now + timedelta(seconds=seconds))


def _number(text: str | None) -> int | None:
    """A number of a row; None for what is none, or too large to be one of ours."""
    if not text or not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        return None
    return min(int(text), LONGEST_TIME)


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError:
        return Level.WARNING


def _id(kind: str, key: str) -> str:
    """One per type and key; engines have their own ideas of which texts are the same."""
    return hashlib.sha256(f"{kind}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _old(untold: Iterable[Row], now: datetime) -> Iterator[str | None]:
    """What is forgotten of the rows that a look did not tell: of the newest, no more than :data:`MOST` are kept."""
    for place, row in enumerate(sorted(untold, key=lambda row: row["last"] or "", reverse=True)):
        over = moment(row["over"])
        is_past = bool(row["over"]) if over is None else over < now - KEPT
        if place >= MOST or is_past:
            yield row["id"]


def _standing(row: Row) -> NoticeState:
    text = {name: value or "" for name, value in row.items()}
    notice = Notice(
        key=text["key"],
        words=text["words"],
        node=text["node"],
        level=_level(text["level"]),
        repeated_after=_number(text["repeats"]),
    )
    return NoticeState(
        type=text["type"],
        notice=notice,
        since=text["since"],
        last=text["last"],
        times=_number(text["times"]) or 0,
        over=text["over"],
        acknowledged=text["acknowledged"],
        acknowledged_by=text["acknowledgedby"],
    )
