"""Who is told of which change, and in which words: pure.

Owns the reading of the ``notification`` table and what a hook gets on its standard input.
Must not: run anything.  Facts: docs/facts/database.md, Notification hooks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xcatd.db.watching import ADDED, DELETED, UPDATED, RowChange, Watched

from . import paths

_KINDS = (ADDED, UPDATED, DELETED)

#: What a hook's row says when it is in force.
_ENABLED = {None, "", "0"}

#: Calls a Perl module as xCAT does: what changed comes as JSON.  Nothing is ever put into this text.
MODULE_CALLER = (
    "use JSON::PP; my ($file, $package) = @ARGV; local $/; my $change = decode_json(<STDIN>); require $file; "
    'my $call = "xCAT_monitoring::${package}"->can("processTableChanges") '
    'or die "$file has no xCAT_monitoring::${package}::processTableChanges\\n"; '
    "$call->($change->{action}, $change->{table}, $change->{old}, $change->{new});"
)


@dataclass(frozen=True, slots=True)
class HookCall:
    """One call of a hook: the file as registered, where it is, words and standard input.

    ``library`` is where a Perl module finds others.
    """

    filename: str
    path: Path
    argv: tuple[str, ...]
    stdin: str
    library: Path | None = None

    @property
    def is_module(self) -> bool:
        """Whether a Perl module is called."""
        return paths.is_module(self.filename)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Table and kind of change to the files registered for them, in the table's order.

    ``refused`` tells of rows that name what cannot be a hook; nothing is called for them.
    """

    files: Mapping[tuple[str, str], tuple[str, ...]]
    refused: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str | None]]) -> Hooks:
        """Read the rows of ``notification``."""
        files: dict[tuple[str, str], dict[str, None]] = {}
        refused: dict[str, None] = {}
        for row in rows:
            filename = row["filename"]
            if not filename or row.get("disable") not in _ENABLED:
                continue
            try:
                paths.path_of(filename, paths.DEFAULT_ROOT)
            except paths.BadHookError as bad:
                refused[str(bad)] = None
                continue
            for table in (row["tables"] or "").split(","):
                for kind in _KINDS:
                    if kind in (row["tableops"] or ""):
                        files.setdefault((table, kind), {})[filename] = None
        return cls({place: tuple(names) for place, names in files.items()}, tuple(refused))

    @property
    def watched(self) -> Watched:
        """The tables and kinds of change somebody is registered for."""
        tables = {table for table, _ in self.files}
        return {
            table: frozenset(kind for kind in _KINDS if (table, kind) in self.files)
            for table in tables
        }

    def calls(self, change: RowChange, root: str) -> Iterable[HookCall]:
        """The calls for one change; ``root`` is where xCAT is installed."""
        for filename in self.files.get((change.table, change.kind), ()):
            path = paths.path_of(filename, root)
            if paths.is_module(filename):
                yield _module_call(filename, path, Path(root, "lib/perl"), _as_json(change))
            else:
                yield HookCall(filename, path, (str(path),), as_text(change))


def _module_call(filename: str, path: Path, library: Path, stdin: str) -> HookCall:
    argv = ("perl", "-I", str(library), "-e", MODULE_CALLER, str(path), path.stem)
    return HookCall(filename, path, argv, stdin, library)


def as_text(change: RowChange) -> str:
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


def _as_json(change: RowChange) -> str:
    """What a Perl module's caller reads; the old rows follow their column names, as in xCAT."""
    old = [change.columns, *change.old] if change.columns else []
    return json.dumps(
        {"action": change.kind, "table": change.table, "old": old, "new": change.new or {}}
    )
