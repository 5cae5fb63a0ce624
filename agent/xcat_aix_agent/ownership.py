"""Whether what the agent trusts can be changed by nobody else: owner and mode of a path and all above it.

What decides what this program does as root (settings, policy, key, authority, jobs, postscripts) must
belong to root or to our own user and be writable by nobody else, and so must every directory on the way,
links included.  A directory that all may write to is safe if it is root's and sticky (``/tmp``): there
nobody renames or replaces what is not his.  Must not: open or change anything.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import FrozenSet, List, Optional

_MOST_LINKS = 40
_WRITERS = {stat.S_IWGRP: "its group", stat.S_IWOTH: "everybody"}


class OwnershipError(Exception):
    """Somebody else could change the path; one line that names it and what mends it."""


def check_file(path: Path, *, secret: bool = False) -> None:
    """Raises :class:`OwnershipError` unless ``path``, if it is there, is a file that is safe to trust.

    ``secret``: nobody else may read it either.
    """
    state = _walk(path)
    if state is None:
        return
    if not stat.S_ISREG(state.st_mode):
        raise OwnershipError(f"cannot trust {path}: it is no regular file")
    if secret and state.st_mode & 0o077:
        mode = stat.S_IMODE(state.st_mode)
        text = f"cannot trust {path}: others may read it (mode {mode:04o}); run chmod 600 {path}"
        raise OwnershipError(text)


def system_users() -> FrozenSet[int]:
    """Who owns the directories of a system's own commands beside root: on AIX /usr and /usr/bin are bin's."""
    try:
        return frozenset({pwd.getpwnam("bin").pw_uid})
    except KeyError:
        return frozenset()


def check_directory(path: Path, *, owners: FrozenSet[int] = frozenset()) -> None:
    """Raises :class:`OwnershipError` unless ``path``, if it is there, is a directory of our own.

    ``owners`` are trusted beside root and our own user.
    """
    state = _walk(path, owners)
    if state is None:
        return
    if not stat.S_ISDIR(state.st_mode):
        raise OwnershipError(f"cannot trust {path}: it is no directory")
    _check_writers(path, state)


def _walk(path: Path, owners: FrozenSet[int] = frozenset()) -> Optional[os.stat_result]:
    """The state of what ``path`` leads to, None if it is not there; every step on the way is checked."""
    todo, done, links = _parts(path), Path("/"), 0
    state = done.lstat()
    while todo:
        part = todo.pop()
        if part == "..":
            done = done.parent
            state = done.lstat()
            continue
        _check_place(done, state, owners)
        here = done / part
        try:
            state = here.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        _check_owner(here, state, owners)
        if not stat.S_ISLNK(state.st_mode):
            done = here
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OwnershipError(f"cannot trust {path}: it leads through too many links")
        target = here.readlink()
        todo += _parts(target)
        done = Path("/") if target.is_absolute() else done
        state = done.lstat()
    if not stat.S_ISDIR(state.st_mode):
        _check_writers(done, state)
    return state


def _parts(path: Path) -> List[str]:
    """The words of a path, the first one last."""
    return [part for part in reversed(path.parts) if part != "/"]


def _check_place(path: Path, state: os.stat_result, owners: FrozenSet[int] = frozenset()) -> None:
    """A directory on the way: what is in it stays what it is."""
    _check_owner(path, state, owners)
    is_sticky = bool(state.st_mode & stat.S_ISVTX) and state.st_uid == 0
    if not is_sticky:
        _check_writers(path, state)


def _check_owner(path: Path, state: os.stat_result, owners: FrozenSet[int]) -> None:
    if state.st_uid not in _trusted() | owners:
        owner = _user_name(state.st_uid)
        text = f"cannot trust {path}: it belongs to {owner}; look at it, then run chown root {path}"
        raise OwnershipError(text)


def _check_writers(path: Path, state: os.stat_result) -> None:
    for bit, who in _WRITERS.items():
        if state.st_mode & bit and not (bit == stat.S_IWGRP and _is_private(state)):
            text = (
                f"cannot trust {path}: {who} may write to it (mode {stat.S_IMODE(state.st_mode):04o});"
                f" look at it, then run chmod go-w {path}"
            )
            raise OwnershipError(text)


def _trusted() -> FrozenSet[int]:
    return frozenset({0, os.geteuid()})


def _is_private(state: os.stat_result) -> bool:
    """The owner's own group, with nobody else in it: as good as no group (many Linux systems)."""
    try:
        owner, group = pwd.getpwuid(state.st_uid), grp.getgrgid(state.st_gid)
    except KeyError:
        return False
    is_own = state.st_uid != 0 and owner.pw_gid == state.st_gid and owner.pw_name == group.gr_name
    return is_own and not set(group.gr_mem) - {owner.pw_name}


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
