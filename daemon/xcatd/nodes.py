"""Nodes of a request: noderange expansion over the database, plugin order, and routing values.

Glue between :mod:`xcatd.noderange` (pure) and the database.
Facts: docs/facts/noderange.md, Results and modes; Files; docs/facts/daemon.md, Plugins and dispatch.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from xcatd import noderange
from xcatd.noderange import Expansion
from xcatd.objects import mapping, reader
from xcatd.rights import ALL, Rights

if TYPE_CHECKING:
    from .db.database import Database
    from .db.snapshot import Snapshot

_log = logging.getLogger(__name__)

#: Bytes that the files of one noderange may have together.
_FILE_SIZE = 4 << 20

__all__ = ["Expansion", "PluginValues", "expand", "in_plugin_order"]

#: Files that one noderange may name.
_MOST_FILES = 100

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


class _UnreadError(OSError):
    """The file is not for everybody."""


def read_file(path: str) -> str | None:
    """A noderange file; None for what is not there.

    The daemon may read more than whoever asks: so the file must be readable, and every directory above it
    searchable, for others; none of them a link; the file a regular one, and not larger than anybody's list of nodes.
    Raises :class:`xcatd.noderange.NotAllowed` for any other.
    """
    try:
        data = _read(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise noderange.NotAllowed(
            f"cannot read {path[:255]}: {reason}; it must be a file that everybody may read, and no link"
        ) from None
    return data.decode("utf-8", "surrogateescape")


def _read(path: str) -> bytes:
    """Raises OSError, and ValueError for a NUL in the path."""
    *directories, name = filter(None, path.split("/")) if path.startswith("/") else [""]
    if not name or {".", ".."} & {*directories, name}:
        raise _UnreadError("its path is not plain and absolute")
    fd = os.open("/", _DIRECTORY)
    try:
        for directory in directories:
            fd = _entered(fd, directory)
        return _contents(fd, name)
    finally:
        os.close(fd)


def _entered(above: int, name: str) -> int:
    """The directory in the other's place, which is closed unless there is an error."""
    _demand(os.fstat(above).st_mode, stat.S_IXOTH, "a directory above it cannot be searched")
    fd = os.open(name, _DIRECTORY, dir_fd=above)
    os.close(above)
    return fd


def _contents(directory: int, name: str) -> bytes:
    _demand(os.fstat(directory).st_mode, stat.S_IXOTH, "its directory cannot be searched")
    # What is no regular file is not even opened: a device might take that for an order.
    _check(os.stat(name, dir_fd=directory, follow_symlinks=False))
    fd = os.open(name, _FILE, dir_fd=directory)
    with open(fd, "rb") as file:
        _check(os.fstat(fd))
        data = file.read(_FILE_SIZE + 1)
    if len(data) > _FILE_SIZE:
        raise _UnreadError(f"it is larger than {_FILE_SIZE >> 20} MB")
    return data


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _UnreadError("it is no regular file")
    _demand(found.st_mode, stat.S_IROTH, "it cannot be read")


def _demand(mode: int, bit: int, complaint: str) -> None:
    if not mode & bit:
        raise _UnreadError(f"{complaint} by others")


class _Files:
    """The files of one noderange: each is read once, and all together are bounded."""

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}
        self._left = _FILE_SIZE

    def __call__(self, path: str) -> str | None:
        if path not in self._texts:
            if len(self._texts) == _MOST_FILES:
                raise noderange.TooLarge(f"a noderange can name {_MOST_FILES} files at most")
            text = read_file(path)
            self._left -= len(text or "")
            if self._left < 0:
                raise noderange.TooLarge(
                    f"cannot expand the noderange: its files have more than {_FILE_SIZE >> 20} MB"
                )
            self._texts[path] = text
        return self._texts[path]


def expand(
    database: Database,
    text: str,
    *,
    verify: bool = True,
    snapshot: Snapshot | None = None,
    environ: Mapping[str, str] | None = None,
    rights: Rights = ALL,
) -> Expansion:
    """Expand a noderange; reads the tables it needs once, unless a snapshot holds them all.

    ``environ`` has the node prefix and suffix; ``rights`` say whether ``^file`` in ``text`` is read (in
    ``site.excludenodes`` it always is) and secrets may be selected by, and which nodes may be named.  Raises
    :class:`xcatd.noderange.NoderangeError`, and :class:`xcatd.db.errors.DatabaseError`, also for a value that takes
    too long to work out.
    """
    needed = noderange.tables_needed(text)
    if snapshot is None or not _holds(snapshot, needed):
        snapshot = database.read(needed)
    files = _Files()
    looked_at = noderange.Cluster(snapshot, read_file=files, with_files=rights.is_known)
    needed |= noderange.tables_needed(text, snapshot, looked_at)
    if asked := noderange.dynamic_attributes(snapshot):
        needed |= mapping.tables(("node",), asked)
    if not _holds(snapshot, needed):
        snapshot = database.read(needed)
    variables = environ or {}
    world = noderange.Cluster(
        snapshot,
        attribute=reader.attribute_lookup(snapshot) if asked else None,
        read_file=files,
        prefix=variables.get("XCAT_NODE_PREFIX", "node"),
        suffix=variables.get("XCAT_NODE_SUFFIX", ""),
        with_files=rights.is_known,
        with_secrets=rights.is_unrestricted,
        with_selections=rights.selects,
        effort=noderange.MOST if rights.is_known else noderange.LITTLE,
    )
    expansion = noderange.expand(text, world, verify=verify)
    if (refusal := rights.refusal(expansion.nodes)) is not None:
        raise noderange.NotAllowed(refusal)
    return expansion


def _holds(snapshot: Snapshot, tables: set[str]) -> bool:
    if tables <= snapshot.tables:
        return True
    try:  # a whole database given as plain data has every table, named or not
        for table in tables:
            snapshot.rows(table)
    except LookupError:
        return False
    return True


#: Digits that count: Python makes no number of thousands of them.
_LONGEST_NUMBER = 300


def _first_number(name: str) -> int:
    match = re.search(r"[0-9]+", name)
    return int(match.group()[:_LONGEST_NUMBER]) if match else -1


def in_plugin_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each node once, by the first number in its name, then by name."""
    return tuple(sorted(set(names), key=lambda name: (_first_number(name), name)))


class PluginValues:
    """What the choice of plugins looks at (:class:`xcatd.plugins.NodeRoute`)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def site(self) -> Mapping[str, str]:
        """The site table."""
        return self._snapshot.site

    def lookup(
        self, table: str, columns: Sequence[str], nodes: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Effective values: node to column to text."""
        found = self._snapshot.values(table, columns, nodes)
        return {
            node: {column: value.text for column, value in row.items()}
            for node, row in found.items()
        }
