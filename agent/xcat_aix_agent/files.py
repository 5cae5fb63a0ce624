"""Files changed so that a crash leaves the old content or the new, and a full disk leaves the old.

Owns: the write, flush, rename sequence, and the errors of a disk in the protocol's words.  Must not:
know what is in a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import Iterator, Optional, Tuple

from xcat_aix_proto.errors import AgentError, ErrorCode

_FULL = {errno.ENOSPC, errno.EDQUOT}

#: Opens no link where the system can be told so (flags of :func:`os.open`).
NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)

#: What changes when a file, its owner or its mode does.
Stamp = Tuple[int, ...]


def stamp(path: Path) -> Stamp:
    """The stamp of ``path`` as it is now, empty if it cannot be looked at."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return (
        state.st_mtime_ns,
        state.st_ctime_ns,
        state.st_size,
        state.st_ino,
        state.st_mode,
        state.st_uid,
    )


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an :class:`OSError` into ``NO_SPACE`` or ``INTERNAL`` with ``cannot <what>: …``."""
    try:
        yield
    except OSError as error:
        code = ErrorCode.NO_SPACE if error.errno in _FULL else ErrorCode.INTERNAL
        raise AgentError(code, f"cannot {what}: {error.strerror or error}") from None


def read(path: Path) -> Optional[str]:
    """The text of ``path``, None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def replace(path: Path, text: str, *, sync: bool = True, mode: Optional[int] = None) -> None:
    """Put ``text`` in ``path`` at once; ``mode`` None keeps the mode of the file that was there.

    Raises :class:`OSError`, and then ``path`` is what it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    if mode is None:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    try:
        write(temporary, text, mode, sync=sync)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_directory(path.parent)


def write(path: Path, text: str, mode: int, *, sync: bool) -> None:
    """Write a file that is not there yet; a crash may leave half of it.

    Raises :class:`FileExistsError` for whatever is there, a link included.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        if sync:
            os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
