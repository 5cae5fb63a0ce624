"""Who is told of which change, and in which words: pure.

Owns the reading of the ``notification`` table and what a hook gets on its standard input.
Must not: run anything.  Facts: specs/database.md, section 6 (notification hooks).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from xcatd.db.watching import ADDED, DELETED, UPDATED, Change, Watched

_KINDS = (ADDED, UPDATED, DELETED)

#: What a hook's row says when it is in force.
_ENABLED = {None, "", "0"}

#: Ends the name of a hook that is a Perl module.
MODULE_SUFFIX = ".pm"

#: Calls a Perl module as xCAT does: what changed comes as JSON.  Nothing is ever put into this text.
MODULE_CALLER = (
    "use JSON::PP; my ($file, $package) = @ARGV; local $/; my $change = decode_json(<STDIN>); require $file; "
    'my $call = "xCAT_monitoring::${package}"->can("processTableChanges") '
    'or die "$file has no xCAT_monitoring::${package}::processTableChanges\\n"; '
    "$call->($change->{action}, $change->{table}, $change->{old}, $change->{new});"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a hook: the file as registered, words and standard input."""

    filename: str
    argv: tuple[str, ...]
    stdin: str

    @property
    def is_module(self) -> bool:
        """Whether a Perl module is called."""
        return self.filename.endswith(MODULE_SUFFIX)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Table and kind of change to the files registered for them, in the table's order."""

    files: Mapping[tuple[str, str], tuple[str, ...]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str | None]]) -> Hooks:
        """Read the rows of ``notification``."""
        files: dict[tuple[str, str], dict[str, None]] = {}
        for row in rows:
            if not row["filename"] or row.get("disable") not in _ENABLED:
                continue
            for table in (row["tables"] or "").split(","):
                for kind in _KINDS:
                    if kind in (row["tableops"] or ""):
                        files.setdefault((table, kind), {})[row["filename"]] = None
        return cls({place: tuple(names) for place, names in files.items()})

    @property
    def watched(self) -> Watched:
        """The tables and kinds of change somebody is registered for."""
        tables = {table for table, _ in self.files}
        return {
            table: frozenset(kind for kind in _KINDS if (table, kind) in self.files)
            for table in tables
        }

    def calls(self, change: Change, root: str) -> Iterable[Call]:
        """The calls for one change; ``root`` is where xCAT is installed.

        Raises ValueError for a file name that is no list of words.
        """
        for filename in self.files.get((change.table, change.kind), ()):
            if filename.endswith(MODULE_SUFFIX):
                yield Call(filename, _module_words(filename, root), _as_json(change))
            else:
                yield Call(filename, words_of(filename), as_text(change))


def words_of(filename: str) -> tuple[str, ...]:
    """A registered command's words: quotes count, nothing else that a shell would see."""
    try:
        words = tuple(shlex.split(filename))
    except ValueError as error:
        raise ValueError(f"cannot call the notification command {filename!r}: {error}") from None
    if not words:
        raise ValueError(f"cannot call the notification command {filename!r}: it names nothing")
    return words


def _module_words(filename: str, root: str) -> tuple[str, ...]:
    path = PurePosixPath(filename)
    library = f"{root}/lib/perl"
    place = filename if len(path.parts) > 1 else f"{library}/xCAT_monitoring/{path.name}"
    return ("perl", "-I", library, "-e", MODULE_CALLER, place, path.stem)


def as_text(change: Change) -> str:
    """What a command gets on standard input; values stand as they are, without quotes."""
    lines = [change.kind, change.table, "[old data]"]
    if change.columns:
        lines += [",".join(change.columns), *map(_joined, change.old)]
    lines.append("[new data]")
    if change.new:
        lines += [",".join(change.new), _joined(change.new.values())]
    return "\n".join(lines) + "\n"


def _joined(texts: Iterable[str | None]) -> str:
    return ",".join(text or "" for text in texts)


def _as_json(change: Change) -> str:
    """What a Perl module's caller reads; the old rows follow their column names, as in xCAT."""
    old = [change.columns, *change.old] if change.columns else []
    return json.dumps(
        {"action": change.kind, "table": change.table, "old": old, "new": change.new or {}}
    )
