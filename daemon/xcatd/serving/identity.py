"""Other ways to say who one is: a password of the passwd table, and tokens given for it.

Owns: checking ``becomeuser`` and ``gettoken``, and the token table.  Must not: log a password or token.
Facts: specs/wire-protocol.md, section 2.5.
"""

from __future__ import annotations

import ctypes
import hmac
import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xcatd.wire.requests import Credentials

from .policy import perl_number

if TYPE_CHECKING:
    from xcatd.db.database import Database
    from xcatd.db.snapshot import Snapshot

_log = logging.getLogger(__name__)
_HASHED = re.compile(r"\$[0-9a-zA-Z-]+\$.+")
NEVER = "never"
Row = Mapping[str, str | None]


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
    return None


_crypt_lock = threading.Lock()  # crypt(3) has one static buffer


def system_crypt(given: str, stored: str) -> str | None:
    """crypt(3) of the C library; None if there is none here or it refuses."""
    if "\0" in given + stored:
        return None
    with _crypt_lock:
        crypt = _load_crypt()
        if crypt is None:
            _log.error("no libcrypt on this machine: only plain passwords can be checked")
            return None
        result = crypt(given.encode(), stored.encode())
    return result.decode("ascii", "replace") if result else None


def password_matches(given: str, stored: str | None) -> bool:
    """Whether the given password is the stored one, kept as a hash or plainly.

    A stored ``$id$…`` hash is not accepted as its own password, other than in the Perl daemon.
    """
    if not stored or not given:
        return False
    if _same(given, stored) and _HASHED.fullmatch(stored) is None:
        return True
    hashed = system_crypt(given, stored)
    return hashed is not None and not hashed.startswith("*") and _same(hashed, stored)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def authenticate(credentials: Credentials, snapshot: Snapshot) -> str | None:
    """The user if the passwd table (key ``xcat``) confirms; None otherwise."""
    for row in snapshot.rows("passwd"):
        if row["key"] == "xcat" and row["username"] == credentials.username:
            return (
                credentials.username
                if password_matches(credentials.password, row["password"])
                else None
            )
    return None


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
    with database.transaction("token") as transaction:
        transaction.insert("token", [row])
    return token


def user_of_token(token: str, database: Database, now: datetime) -> str | None:
    """The user of a valid token, its use noted; None for an unknown or expired one."""
    for row in database.read(["token"]).rows("token"):
        if row["tokenid"] and _same(row["tokenid"], token):
            if not row["username"] or expires(row["expire"], now):
                return None
            with database.transaction("token") as transaction:
                transaction.update("token", {"tokenid": token}, {"access": time_text(now)})
            return row["username"]
    return None
