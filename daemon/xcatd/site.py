"""The daemon's own settings: the ``site`` attributes it reads, parsed once into one value.

Must not: read the database itself, or hold settings longer than one connection or request.
Facts: specs/wire-protocol.md, sections 1, 2.5, 4 and 5; specs/database.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Where a machine's kind is marked; the root directory can be another one in tests.
MN_MARKER = "etc/xCATMN"
SN_MARKER = "etc/xCATSN"


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
        )


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
