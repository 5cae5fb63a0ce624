"""Files written and read with root's rights: never through somebody else's link, never half, never for all to read.

Owns the walk to a directory, link by link; whose files and directories are trusted; a file's way into its place.
Must not: know what is in a file.

A directory is *trusted* where nobody but root and this process's own user can change what is in it: both own it, and
neither its group nor others may write it.  A sticky directory of root's (``/tmp``) is trusted as well, since names
in it belong to who made them; each of these is looked at on its own.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Links on the way to one file; as many as the kernel follows.
MOST_LINKS = 40

_ROOT = 0
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeError(OSError):
    """Somebody else could change what is at this place; one line for people, with what to do."""

    def __init__(self, place: Path, why: str) -> None:
        super().__init__(errno.EPERM, why, str(place))

    def __str__(self) -> str:
        return f"cannot trust {self.filename}: {self.strerror}"


@contextmanager
def directory(path: Path, *, trusted: bool = False) -> Iterator[int]:
    """A descriptor of a directory, to name files relative to; what becomes of the path meanwhile does not matter.

    ``trusted``: it and every directory above must be.  Else others' directories are entered, but no link in
    them is followed.  Raises :class:`UnsafeError`, and OSError as opening does.
    """
    fd = _Walk(path, trusted=trusted).open()
    try:
        yield fd
    finally:
        os.close(fd)


class _Walk:
    """The way to one directory."""

    def __init__(self, path: Path, *, trusted: bool) -> None:
        self._path = path
        self._trusted = trusted
        self._links = 0
        self._left = list(reversed(path.absolute().parts[1:]))
        self._fd = -1
        self._at = Path("/")

    def open(self) -> int:
        """A descriptor, which the caller closes."""
        self._fd = os.open("/", _DIRECTORY)
        try:
            self._check()
            while self._left:
                self._step(self._left.pop())
        except BaseException:
            os.close(self._fd)
            raise
        return self._fd

    def _step(self, name: str) -> None:
        try:
            found = os.open(name, _DIRECTORY, dir_fd=self._fd)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            self._follow(name)
        else:
            self._go(found, self._at / name)

    def _go(self, fd: int, place: Path) -> None:
        os.close(self._fd)
        self._fd, self._at = fd, place
        self._check()

    def _follow(self, name: str) -> None:
        """``name`` is no directory: a link to one, which only root or we may have made."""
        place = self._at / name
        state = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        if not stat.S_ISLNK(state.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        if not (_is_owner_trusted(state) and _is_trusted(os.fstat(self._fd))):
            raise UnsafeError(
                place, "it is a link that others could turn elsewhere; name its target"
            )
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(self._path))
        target = Path(os.readlink(name, dir_fd=self._fd))
        if target.is_absolute():
            self._go(os.open("/", _DIRECTORY), Path("/"))
        self._left += reversed(target.parts[1:] if target.is_absolute() else target.parts)

    def _check(self) -> None:
        if self._trusted and not _is_trusted(state := os.fstat(self._fd)):
            raise UnsafeError(self._at, _why(state))


def _is_owner_trusted(state: os.stat_result) -> bool:
    return state.st_uid in {_ROOT, os.geteuid()}


def _is_trusted(state: os.stat_result) -> bool:
    """Whether only root and we can change the names in a directory that has this state."""
    if not _is_owner_trusted(state):
        return False
    is_sticky = bool(state.st_mode & stat.S_ISVTX) and state.st_uid == _ROOT
    return is_sticky or not _is_open(state)


def _is_open(state: os.stat_result) -> bool:
    """Whether others may write.

    An ordinary user's own group may, where that user's umask says so: there it is a group of one.
    """
    is_own = state.st_uid != _ROOT and state.st_uid == os.geteuid()
    return bool(state.st_mode & (stat.S_IWOTH if is_own else stat.S_IWOTH | stat.S_IWGRP))


def _why(state: os.stat_result) -> str:
    if not _is_owner_trusted(state):
        return f"it belongs to user {state.st_uid}, who could change what is in it; only root may own it"
    return "others may write it; take their right away with chmod go-w"


@contextmanager
def create(folder: int, *, mode: int = 0o600) -> Iterator[tuple[int, str]]:
    """A new file in a directory, under a name nobody can guess: its descriptor and that name.

    Whoever wants it renames it (:func:`put`); else it is removed at the end, where the descriptor is closed.
    """
    name = f".{secrets.token_hex(16)}.new"
    fd = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        os.fchmod(fd, mode)
        yield fd, name
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):  # it has its name
            os.unlink(name, dir_fd=folder)


def put(folder: int, name: str, final: str, place: Path) -> None:
    """Give a new file its name in a directory; only a regular file may be in its place.

    ``place`` is how people call it.  Raises OSError.
    """
    with suppress(FileNotFoundError):
        state = os.stat(final, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode):
            raise FileExistsError(
                errno.EEXIST,
                "there is something that is no regular file, remove it first",
                str(place),
            )
    os.rename(name, final, src_dir_fd=folder, dst_dir_fd=folder)


def write(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600, trusted: bool = False) -> None:
    """Make this the content of a file, whole or not at all; it belongs to us and has ``mode`` from its beginning.

    What was there is replaced where it was a regular file; a link, a directory or a device is refused.
    ``trusted``: the directory must be.  Raises :class:`UnsafeError` and OSError.
    """
    with directory(path.parent, trusted=trusted) as folder, create(folder, mode=mode) as (fd, name):
        with open(fd, "wb", closefd=False) as file:
            file.writelines(pieces)
        os.fsync(fd)
        put(folder, name, path.name, path)
        _keep(folder)


def _keep(folder: int) -> None:
    """Have the directory's names stored; some file systems and rights do not allow that."""
    with suppress(OSError):
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> Iterator[int]:
    """A descriptor of a file only root or we can have written, in a trusted directory.

    Links are followed where root or we made them; ``flags`` may create the file.  Raises :class:`UnsafeError`
    and OSError.
    """
    fd = _open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    try:
        check(path, os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


def _open(path: Path, flags: int, mode: int) -> int:
    place = path.absolute()
    for _ in range(MOST_LINKS):
        with directory(place.parent, trusted=True) as folder:
            try:
                return os.open(place.name, flags, mode, dir_fd=folder)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise OSError(error.errno, error.strerror, str(path)) from None
            if not _is_owner_trusted(os.stat(place.name, dir_fd=folder, follow_symlinks=False)):
                raise UnsafeError(path, "it is a link that others made; put the file itself there")
            place = place.parent / os.readlink(place.name, dir_fd=folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def read(path: Path) -> bytes:
    """What is in a file that :func:`opened` opens; raises the same."""
    with opened(path) as fd, open(fd, "rb", closefd=False) as file:
        return file.read()


def append(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Add to the end of a file that :func:`opened` opens, or make it; raises the same."""
    with opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode) as fd:
        os.write(fd, content)


def check(path: Path, state: os.stat_result) -> None:
    """Raises :class:`UnsafeError` for a file that others could have written."""
    if not stat.S_ISREG(state.st_mode):
        raise UnsafeError(path, "it is no regular file")
    if not _is_owner_trusted(state):
        raise UnsafeError(path, f"it belongs to user {state.st_uid}; only root may own it")
    if _is_open(state):
        raise UnsafeError(path, "others may write it; take their right away with chmod go-w")
