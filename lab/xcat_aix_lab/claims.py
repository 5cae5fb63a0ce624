"""Which second octet of 127.x.0.0/16 belongs to which lab on this machine.

A claim is a file in a directory of the user; it holds the lab's directory and ends with it, so that
labs that were simply deleted leave nothing to clean up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIRST, _LAST = 1, 254
_AVOIDED = {53, 127}  # resolvers listen on 127.0.0.53 and the like; 127.127 reads badly
_MARK = "octet"


class NoFreeRange(Exception):
    """All 127.x ranges are taken."""


def claim(lab: Path, agentport: int) -> int:
    """The octet of ``lab``: the one it holds already, or a free one, kept from now on."""
    if (octet := renew(lab)) is not None:
        return octet
    with _registry() as registry:
        held = _held(registry)
        for octet in _candidates(lab):
            if octet not in held and _is_free(octet, agentport):
                (registry / str(octet)).write_text(str(lab), encoding="utf-8")
                (lab / _MARK).write_text(str(octet), encoding="ascii")
                return octet
    raise NoFreeRange("cannot find a free range 127.x: end some labs with 'xcat-aix-lab down'")


def renew(lab: Path) -> int | None:
    """The octet that ``lab`` was given, claimed again where the claim was lost (a reboot).

    None if it was given none, or if another lab has it by now.
    """
    mark = lab / _MARK
    if not mark.exists():
        return None
    octet = int(mark.read_text(encoding="ascii"))
    with _registry() as registry:
        if _held(registry).get(octet, lab) != lab:
            return None
        (registry / str(octet)).write_text(str(lab), encoding="utf-8")
    return octet


def give_up(lab: Path) -> None:
    """End the claim of a lab that is not made."""
    (lab / _MARK).unlink(missing_ok=True)


def _candidates(lab: Path) -> Iterator[int]:
    """All octets, beginning at one that depends on the path: labs of several users spread."""
    span = _LAST - _FIRST + 1
    start = zlib.crc32(str(lab).encode()) % span
    for i in range(span):
        octet = _FIRST + (start + i) % span
        if octet not in _AVOIDED:
            yield octet


@contextmanager
def _registry() -> Iterator[Path]:
    place = Path(tempfile.gettempdir()) / f"xcat-aix-lab-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(
            f"cannot use {place}: it must be a directory that only you can change"
        )
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(place / "lock", flags, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place


def _held(registry: Path) -> dict[int, Path]:
    """The claims whose labs still are there."""
    held = {}
    for file in registry.iterdir():
        if not file.name.isdigit():
            continue
        lab = Path(file.read_text(encoding="utf-8"))
        mark = lab / _MARK
        if mark.exists() and mark.read_text(encoding="ascii") == file.name:
            held[int(file.name)] = lab
        else:
            file.unlink()
    return held


def _is_free(octet: int, agentport: int) -> bool:
    """Tell whether nobody, perhaps another user's lab, listens in the range."""
    for host in (f"127.{octet}.0.11", f"127.{octet}.17.1"):
        with socket.socket() as probe:
            try:
                probe.bind((host, agentport))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    return False
                raise
    return True
