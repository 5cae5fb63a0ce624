"""The daemon's own settings: the ``site`` attributes it reads, parsed once into one value.

Owns which settings are in force while the table is broken.  Must not: read the database itself.
Facts: docs/facts/wire.md, Transport and TLS; docs/facts/policy.md, Users, passwords and tokens; Audit;
docs/facts/daemon.md, Life of a request; docs/facts/database.md, Reading.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

#: Where a machine's kind is marked; the root directory can be another one in tests.
MN_MARKER = "etc/xCATMN"
SN_MARKER = "etc/xCATSN"


#: How an attribute that is yes by default says no.
_NO = frozenset(["n", "no", "0", "off"])


class SettingsError(ValueError):
    """A site attribute the daemon cannot start with; the message is for the administrator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the daemon takes from ``site``; every field has the default xCAT has."""

    port: int
    confdir: Path = Path("/etc/xcat")
    tls_policy: str = "modern"
    tls_version: str = ""
    tls_ciphers: str = ""
    max_connections: int = 64
    master: str = ""
    audit_skip: str = ""
    audit_no_syslog: bool = False
    skip_validate_log: bool = False
    token_days: str = "1"  # noqa: S105 - a lifetime, no secret
    debug: bool = False
    notification: bool = True

    @classmethod
    def of(cls, site: Mapping[str, str]) -> Settings:
        """Read a site table; raises :class:`SettingsError` if the port is missing or no port."""
        return cls(
            port=_port(site.get("xcatdport")),
            confdir=Path(site.get("xcatconfdir") or "/etc/xcat"),
            tls_policy=site.get("xcattlspolicy", "modern"),
            tls_version=site.get("xcatsslversion", ""),
            tls_ciphers=site.get("xcatsslciphers", ""),
            max_connections=_count(site.get("xcatmaxconnections"), default=64),
            master=site.get("master", ""),
            audit_skip=site.get("auditskipcmds", ""),
            audit_no_syslog=is_true(site.get("auditnosyslog")),
            skip_validate_log=is_true(site.get("skipvalidatelog")),
            token_days=site.get("tokenexpiredays", "1"),
            debug=is_true(site.get("xcatdebugmode")),
            notification=site.get("aixnotification", "").lower() not in _NO,
        )


class LastGood:
    """The settings in force: those of the site table as it is, or as it was when it could last be used.

    What makes a table unusable is logged once, until it is usable or unusable in another way.  Safe to use from
    several threads.
    """

    def __init__(self, check: Callable[[Settings], None] | None = None) -> None:
        """``check`` raises :class:`SettingsError` for new settings that must not replace those in force."""
        self._check = check
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._said = ""

    def of(self, site: Mapping[str, str]) -> Settings:
        """As :meth:`Settings.of`, which may only fail while no table could be used yet."""
        return self.read(lambda: site)

    def read(
        self,
        site: Callable[[], Mapping[str, str]],
        expected: type[Exception] = SettingsError,
    ) -> Settings:
        """The same of a table that must be read first, which may fail with the ``expected`` error."""
        try:
            settings = Settings.of(site())
            if self._check is not None and self._settings not in {None, settings}:
                self._check(settings)
        except (SettingsError, expected) as error:
            return self._kept(error)
        with self._lock:
            self._settings = settings
            if self._said:
                self._said = ""
                _log.info("the site table can be used again")
        return settings

    def _kept(self, error: Exception) -> Settings:
        with self._lock:
            if self._settings is None:
                raise error
            if self._said != str(error):
                self._said = str(error)
                _log.error("the last known settings are used: %s", error)
            return self._settings


def is_true(text: str | None) -> bool:
    """Truth as Perl sees a string: anything but nothing, empty and ``0``."""
    return text not in {None, "", "0"}


def _port(text: str | None) -> int:
    if text is None:
        raise SettingsError(
            "cannot find xcatdport in the site table: is this the right database, is it set up?"
        )
    if not (text.isascii() and text.isdigit() and int(text) <= 0xFFFF):
        raise SettingsError(f"cannot use site.xcatdport {text!r}: it is not a port number")
    return int(text)


def _count(text: str | None, default: int) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or int(text) == 0:
        return default
    return min(int(text), 1024)
