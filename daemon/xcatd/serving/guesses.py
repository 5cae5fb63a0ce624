"""Wrong passwords are slowed down, and nobody is locked out for good by somebody else's.

Owns: how often whom a password may be tried for, and from where.  Nothing waits here: an attempt that comes too early is
refused at once, unchecked and uncounted, in the words of a wrong password.

Failures are counted three times: of a source for a user (the pair), of a source, and of a user from anywhere.  After the
free ones each failure doubles the time until the next attempt is looked at, up to a bound; all is forgotten ten minutes
after the last failure.  A user's count holds up only pairs that have used up their own free failures, and a
source's count no pair that has logged in before: so a flood of wrong passwords for a user, from whatever number
of sources, does not keep that user out who comes from elsewhere, nor does one guesser behind a shared address
keep out those who have logged in from there.  Certificates are not concerned at all.
Facts: docs/facts/policy.md, Users, passwords and tokens.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcatd.usernames import is_user_name
from xcatd.wire.requests import Login

from . import identity
from .crowd import source_of

if TYPE_CHECKING:
    from xcatd.db.snapshot import Snapshot

#: Seconds after the last failure when they are forgotten.
FORGOTTEN = 600.0
_KEPT = 4_096  # entries of each kind; the least recently changed one goes


@dataclass(frozen=True, slots=True)
class Delay:
    """``free`` failures cost nothing; then 1, 2, 4 … seconds each, at most ``longest``."""

    free: int
    longest: float

    def delay(self, failures: int) -> float:
        """Seconds until the next attempt after so many failures."""
        if failures <= self.free:
            return 0.0
        return min(self.longest, 2.0 ** min(failures - self.free - 1, 16))


PAIR = Delay(free=3, longest=60.0)
SOURCE = Delay(free=20, longest=30.0)
USER = Delay(free=30, longest=30.0)


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class _Counts:
    """Failures by key, the oldest ones forgotten."""

    def __init__(self, rule: Delay) -> None:
        self._rule = rule
        self._found: OrderedDict[Hashable, _Failures] = OrderedDict()

    def of(self, key: Hashable, now: float) -> int:
        """How many are remembered."""
        entry = self._found.get(key)
        if entry is None or now - entry.last >= FORGOTTEN:
            return 0
        return entry.count

    def is_free(self, key: Hashable, now: float) -> bool:
        """The free ones are not used up."""
        return self.of(key, now) < self._rule.free

    def is_locked(self, key: Hashable, now: float) -> bool:
        """An attempt comes too early."""
        entry = self._found.get(key)
        return entry is not None and now - entry.last < self._rule.delay(self.of(key, now))

    def add(self, key: Hashable, now: float) -> None:
        """One more failure."""
        self._found[key] = _Failures(self.of(key, now) + 1, now)
        self._found.move_to_end(key)
        while len(self._found) > _KEPT:
            self._found.popitem(last=False)

    def take_back(self, key: Hashable) -> None:
        """The last one was none."""
        entry = self._found.get(key)
        if entry is not None:
            entry.count = max(0, entry.count - 1)

    def forget(self, key: Hashable) -> None:
        """Start anew."""
        self._found.pop(key, None)


class Guesses:
    """All failures since the daemon began; called in many threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pairs = _Counts(PAIR)
        self._sources = _Counts(SOURCE)
        self._users = _Counts(USER)
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()

    def authenticate(self, credentials: Login, address: str, snapshot: Snapshot) -> str | None:
        """The user, as :func:`.identity.authenticate`; None without a look when it comes too early."""
        source, user = source_of(address), credentials.username
        if not is_user_name(user):
            user = ""  # all of them together
        if not self.admit(source, user):
            return None
        found = identity.authenticate(credentials, snapshot)
        if found is not None:
            self.succeeded(source, user)
        return found

    def admit(self, source: str, user: str) -> bool:
        """Whether an attempt may be looked at; it counts as a failure until :meth:`succeeded`.

        So a hundred at once are not all looked at before the first one has failed.
        """
        pair = (source, user)
        with self._lock:
            now = self._monotonic()
            if self._pairs.is_locked(pair, now) or self._is_held_up(pair, now):
                return False
            self._pairs.add(pair, now)
            self._sources.add(source, now)
            self._users.add(user, now)
            return True

    def _is_held_up(self, pair: tuple[str, str], now: float) -> bool:
        """By what others have done."""
        source, user = pair
        if pair in self._proven:
            return False
        if self._sources.is_locked(source, now):
            return True
        return not self._pairs.is_free(pair, now) and self._users.is_locked(user, now)

    def succeeded(self, source: str, user: str) -> None:
        """The attempt was the user's own."""
        pair = (source, user)
        with self._lock:
            self._pairs.forget(pair)
            self._sources.take_back(source)
            self._users.take_back(user)
            self._proven[pair] = None
            self._proven.move_to_end(pair)
            while len(self._proven) > _KEPT:
                self._proven.popitem(last=False)
