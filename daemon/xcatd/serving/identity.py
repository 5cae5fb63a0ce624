"""Other ways to say who one is: a password of the passwd table, and tokens given for it.

Owns: checking ``becomeuser`` and ``gettoken``, and the token table.  Must not: log a password or token.
Facts: docs/facts/policy.md, Users, passwords and tokens.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import hmac
import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xcatd.changes import Draft
from xcatd.usernames import is_user_name
from xcatd.wire.requests import Login

from .policy import perl_number

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.snapshot import Snapshot

_log = logging.getLogger(__name__)
_HASHED = re.compile(r"\$[0-9a-zA-Z-]+\$.+")
NEVER = "never"
#: Live tokens a user can have; a new one ends the oldest.
MOST_TOKENS = 100
Row = Mapping[str, str | None]


@functools.cache
def _load_crypt() -> Callable[[bytes, bytes], bytes | None] | None:
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            function = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        crypt: Callable[[bytes, bytes], bytes | None] = function
        return crypt
    _log.error("no libcrypt on this machine: only plain passwords can be checked")
    return None


_crypt_lock = threading.Lock()  # crypt(3) has one static buffer


def system_crypt(given: str, stored: str) -> str | None:
    """crypt(3) of the C library; None if there is none here or it refuses."""
    if "\0" in given + stored:
        return None
    with _crypt_lock:
        crypt = _load_crypt()
        if crypt is None:
            return None
        result = crypt(given.encode(), stored.encode())
    return result.decode("ascii", "replace") if result else None


#: What is hashed where there is nothing to compare with; nobody's password.
_NO_HASH = "$6$nobodynobody$"
_LONGEST_PASSWORD = 512  # bytes; crypt(3) of libxcrypt takes no more


def password_matches(given: str, stored: str | None, like: str = _NO_HASH) -> bool:
    """Whether the given password is the stored one, kept as a hash or plainly.

    A stored ``$id$…`` hash is not accepted as its own password, other than in the Perl daemon.  One hash is
    made in any case, of the kind of ``like`` where none is stored, so that time does not tell who exists.
    """
    stored = stored or ""
    is_hashed = _HASHED.fullmatch(stored) is not None
    is_usable = 0 < len(given.encode("utf-8", "surrogatepass")) <= _LONGEST_PASSWORD
    hashed = system_crypt(given if is_usable else "-", stored if is_hashed else like)
    if not is_usable or not stored:
        return False
    if not is_hashed:
        return _same(given, stored) or _is_hash_of(given, stored)
    return hashed is not None and not hashed.startswith("*") and _same(hashed, stored)


def _is_hash_of(given: str, stored: str) -> bool:
    """The oldest kind of hash has no ``$``."""
    hashed = system_crypt(given, stored)
    return hashed is not None and not hashed.startswith("*") and _same(hashed, stored)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def authenticate(credentials: Login, snapshot: Snapshot) -> str | None:
    """The user if the passwd table (key ``xcat``) confirms; None otherwise, and as late as that."""
    rows = [row for row in snapshot.rows("passwd") if row["key"] == "xcat"]
    stored = [row["password"] for row in rows if row["username"] == credentials.username]
    hashes = [row["password"] or "" for row in rows if _HASHED.fullmatch(row["password"] or "")]
    like = hashes[0] if hashes else _NO_HASH
    matches = password_matches(credentials.password, stored[0] if stored else None, like)
    return credentials.username if matches and is_user_name(credentials.username) else None


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is told to its user."""

    id: str
    expire: str


def time_text(moment: datetime) -> str:
    """Local time as the token table holds it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def expires(text: str | None, now: datetime) -> bool:
    """Whether a token's ``expire`` has passed; what cannot be read has."""
    if text == NEVER:
        return False
    if text and text.isascii() and text.isdigit():  # the old form: seconds since 1970
        return int(text) < now.timestamp()
    parts = re.fullmatch(r"(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)", text or "")
    if parts is None:
        return True
    try:
        year, month, day, hour, minute, second = map(int, parts.groups())
        local = now.astimezone().tzinfo
        return datetime(year, month, day, hour, minute, second, tzinfo=local) < now
    except ValueError:
        return True


def _lifetime(days: str) -> timedelta | None:
    if days.lower() == NEVER:
        return None
    count = perl_number(days)
    return timedelta(days=min(count, 36500.0) if count > 0 else 1)


def give_token(user: str, days: str, database: Database, now: datetime) -> Token:
    """A new token in the token table; ``days`` is site.tokenexpiredays."""
    lifetime = _lifetime(days)
    expire = NEVER if lifetime is None else time_text(now + lifetime)
    token = Token(str(uuid.uuid4()), expire)
    row = {
        "tokenid": token.id,
        "username": user,
        "expire": expire,
        "created": time_text(now),
    }
    if lifetime is None:
        _log.warning(
            "site.tokenexpiredays is %r: the token now given to %s never ends; set a number of days",
            days,
            user,
        )
    draft = Draft()
    draft.insert(("token", ()), row)
    with database.transaction("token") as transaction:
        stored = transaction.select("token", {"username": user})
        for old in _surplus(stored, now):
            draft.delete(("token", (("tokenid", old),)))
        transaction.apply(draft.done())
    return token


def _surplus(rows: Sequence[Row], now: datetime) -> list[str]:
    """What a user's new token takes the place of: expired ones, and the oldest beyond a bound."""
    live = [row for row in rows if not expires(row["expire"], now)]
    live.sort(key=lambda row: row["created"] or "")
    kept = {row["tokenid"] for row in live[-(MOST_TOKENS - 1) :]}
    return [old for row in rows if (old := row["tokenid"]) and old not in kept]


def user_of_token(token: str, database: Database, now: datetime) -> str | None:
    """The user of a valid token, its use noted; None for an unknown or expired one.

    Looked up by its digest: how long that takes tells nothing of how much of it is right.
    """
    rows = database.read(["token"]).rows("token")
    found = {_digest(row["tokenid"]): row for row in rows if row["tokenid"]}.get(_digest(token))
    if found is None or not is_user_name(found["username"] or "") or expires(found["expire"], now):
        return None
    with database.transaction("token") as transaction:
        transaction.update("token", {"tokenid": found["tokenid"]}, {"access": time_text(now)})
    return found["username"]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
