"""What a run did, as lines of text that can be compared, sorted by sections.

Every line begins with the section's name:

``nim HOST ARGV``        a NIM command of a master (nim, nimconfig, nim_master_setup)
``run HOST ARGV``        another command; ``xdsh: ``, ``sh: `` and ``sub: `` mark what was only asked for
``state HOST OBJECT …``  what became of a NIM object: ``is CLASS TYPE``, ``ATTRIBUTE = VALUE``, ``without ATTRIBUTE``, ``gone``
``db TABLE KEY …``       a cell that changed: ``COLUMN: BEFORE -> AFTER``
``file HOST PATH``       a file that was written or removed
``text HOST PATH LINE``  a line of a file whose content is known
``out``, ``err``, ``rc`` what the user saw
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xcat_aix_lab.sim.store import Topology
from xcatd.db import schema

NIM_PROGRAMS = frozenset(["nim", "nimconfig", "nim_master_setup"])
_XDSH = re.compile(r"\$XCATROOT/bin/xdsh (\S+) (.*)")
#: Sections in which the order means something, as far as one host (the second word) is concerned.
ORDERED = ("nim", "run")

Rows = Sequence[Mapping[str, Any]]


def program(path: str) -> str:
    """A program's name without its directory."""
    return path.rpartition("/")[2]


def command(words: Sequence[str]) -> str:
    """A command line: first all other words, then the ``-a`` arguments in order of their text."""
    rest, attributes = [program(words[0])], []
    given = iter(words[1:])
    for word in given:
        if word == "-a":
            attributes.append(next(given, ""))
        else:
            rest.append(word)
    return shlex.join([*rest, *(w for text in sorted(attributes) for w in ("-a", text))])


def returned(host: str, words: Sequence[str], rc: int) -> str:
    """The line of a command with how it ended."""
    return f"{ran(host, words)} = {'failed' if rc else 'done'}"


def ran(host: str, words: Sequence[str]) -> str:
    """The line of a command that ran on a host."""
    section = "nim" if program(words[0]) in NIM_PROGRAMS else "run"
    return f"{section} {host} {command(words)}"


# What was recorded


def of_recording(run: Mapping[str, Any]) -> list[str]:
    """The lines of a recorded run."""
    others = sorted(run["other_commands"], key=lambda one: one.get("cmd") not in NIM_PROGRAMS)
    return [
        *(line for one in others[: _set_ups(others)] for line in _other(one)),
        *(ran(one["host"], one["argv"]) for one in run["nim_commands"]),
        *(line for one in others[_set_ups(others) :] for line in _other(one)),
        *(line for host, diff in run["nim_state_diff"].items() for line in _recorded(host, diff)),
        *(line for table, diff in run["db_diff"].items() for line in _table(table, diff)),
        *_recorded_files(run),
        *said(run["stdout"], run["stderr"], run["rc"]),
    ]


def _set_ups(others: Rows) -> int:
    """How many of the commands, which stand first, made a NIM master: NIM commands came after them."""
    return sum(one.get("cmd") in NIM_PROGRAMS for one in others)


def _other(one: Mapping[str, Any]) -> Iterator[str]:
    host = one["host"]
    if "cmd" in one:
        yield ran(host, [one["cmd"], *one["argv"]])
    elif "shell" in one:
        yield from _shell(host, " ".join(one["shell"].split()))
    elif "dispatch" in one:
        yield f"run {one['dispatch']} dispatch: {one['command']} {','.join(one['node'] or ())}"
    elif one["sub"] == "xdsh":
        words = " ".join(" ".join(word for word in one["arg"] if word != "-s").split())
        yield from (f"run {node} xdsh: {words}" for node in one["node"])
    else:
        words = shlex.join([one["sub"], *one["arg"]])
        yield from (f"run {node} sub: {words}" for node in one["node"] or [host])


def _shell(host: str, text: str) -> Iterator[str]:
    """A line given to a shell; by xdsh it is for other hosts."""
    match = _XDSH.fullmatch(text)
    if match is None:
        yield f"run {host} sh: {text}"
    else:
        yield from (f"run {node} xdsh: {match[2].strip(chr(34))}" for node in match[1].split(","))


def _recorded(host: str, diff: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in diff["added"].items():
        yield from _new_object(host, name, entry)
    for name in diff["removed"]:
        yield f"state {host} {name} gone"
    for name, change in diff["changed"].items():
        yield from _changed_object(host, name, change["before"], change["after"])


def _recorded_files(run: Mapping[str, Any]) -> Iterator[str]:
    for host, paths in run["files_written"].items():
        yield from (f"file {host} {path}" for path in paths if not is_staged(run, host, path))
    for host, texts in run["files_after"].items():
        for path, text in texts.items():
            if path not in run["files_written"].get(host, ()):
                yield f"file {host} {path}"
            yield from text_lines(host, path, text)


def is_staged(run: Mapping[str, Any], host: str, path: str) -> bool:
    """Whether a file is taken to have been there before: it belongs to a NIM resource, and no command names it."""
    objects = run["nim_state_before"].get(host, {}).get("objects", {})
    places = [entry["attrs"].get("location") for entry in objects.values()]
    if not any(place and f"{path}/".startswith(f"{place}/") for place in places):
        return False
    words = (one.get("shell", "") + " ".join(one.get("arg") or ()) for one in run["other_commands"])
    return not any(path in text for text in words)


# Changes


def _new_object(host: str, name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"state {host} {name} is {entry['class']} {entry['type']}"
    yield from _changed_object(host, name, {}, entry["attrs"])


def _changed_object(
    host: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    for attribute in [*after, *(one for one in before if one not in after)]:
        value = after.get(attribute)
        if value == before.get(attribute):
            continue
        if value is None:
            yield f"state {host} {name} without {attribute}"
        for text in value if isinstance(value, list) else [value] * (value is not None):
            yield f"state {host} {name} {attribute} = {text}"


def state(host: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What became of the NIM state of a host."""
    old, new = before["objects"], after["objects"]
    for name, entry in new.items():
        if name in old:
            yield from _changed_object(host, name, old[name]["attrs"], entry["attrs"])
        else:
            yield from _new_object(host, name, entry)
    yield from (f"state {host} {name} gone" for name in old if name not in new)


def database(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> Iterator[str]:
    """The cells that changed, of all tables."""
    for table in [*before, *(name for name in after if name not in before)]:
        removed = [row for row in before.get(table, ()) if row not in after.get(table, ())]
        added = [row for row in after.get(table, ()) if row not in before.get(table, ())]
        yield from _table(table, {"removed": removed, "added": added})


def _table(table: str, diff: Mapping[str, Rows]) -> Iterator[str]:
    removed, added = (_by_key(table, diff[side]) for side in ("removed", "added"))
    for key in sorted({*removed, *added}):
        old, new = removed.get(key, {}), added.get(key, {})
        for column in sorted({*old, *new}):
            if old.get(column) != new.get(column):
                values = f"{old.get(column, '')} -> {new.get(column, '')}".strip()
                yield f"db {table} {key} {column}: {values}"


def _by_key(table: str, rows: Rows) -> dict[str, dict[str, str]]:
    keys = schema.TABLES[table].keys
    return {
        ",".join(str(row.get(key) or "") for key in keys): {
            column: str(value) for column, value in row.items() if value is not None
        }
        for row in rows
    }


def files(
    host: str, before: Mapping[str, bytes], after: Mapping[str, bytes], of: frozenset[str]
) -> Iterator[str]:
    """The files that changed, with the lines of those in ``of``."""
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield f"file {host} {path}"
        if path in of and before.get(path) != after.get(path):
            yield from text_lines(host, path, after.get(path, b"").decode("utf-8", "replace"))


def text_lines(host: str, path: str, text: str) -> Iterator[str]:
    """The lines of a file's content."""
    yield from (f"text {host} {path} {line}" for line in text.splitlines())


def said(stdout: str, stderr: str, rc: int) -> Iterator[str]:
    """What the user saw; empty lines mean nothing."""
    yield from (f"out {line.strip()}" for line in stdout.splitlines() if line.strip())
    yield from (f"err {line.strip()}" for line in stderr.splitlines() if line.strip())
    yield f"rc {rc}"


# Comparing


def sections(found: Iterable[str], topology: Topology) -> dict[str, list[str]]:
    """Lines by what they are compared with: a host's commands in order, everything else as a set with counts."""
    parts: dict[str, list[str]] = {}
    for line in found:
        name, _, rest = line.partition(" ")
        if name in ORDERED:
            name = f"{name} {rest.partition(' ')[0]}"
        elif name in ("out", "err"):
            speaker = re.match(r"(?:Error: )?(?:\[\w+\]: )?([\w-]+): ", rest)
            if speaker and speaker[1] in topology.kinds:
                name = f"{name} {speaker[1]}"
        parts.setdefault(name, []).append(line)
    return {
        name: found if name.partition(" ")[0] in (*ORDERED, "out", "err") else sorted(found)
        for name, found in parts.items()
    }
