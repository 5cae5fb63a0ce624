"""How lsdef shows one object: the lines, in every form the command has.

Pure text.  Must not: read anything, or decide which objects are shown.
Facts: specs/object-commands.md, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcatd import nics, objects
from xcatd.objects_reader import Found, Values

from .lsdef_arguments import Question, Wanted

STANZA_HEADER = "# <xCAT data object stanza file>"


@dataclass(frozen=True, slots=True)
class Shown:
    """One object to show.  ``members`` are a group's nodes, ``image`` a node's osimage attributes."""

    name: str
    kind: str
    values: Values
    members: Sequence[str] = ()
    image: Mapping[str, str] | None = None


def name_line(question: Question, name: str, kind: str) -> str:
    """The one line of the short form."""
    if question.is_stanza:
        return f"\n{name}:"
    return f"{name} ({kind})" if question.is_all else f"{name}  ({kind})"


def details(question: Question, shown: Shown) -> Iterator[str]:
    """The lines of the long form."""
    yield from _heading(question, shown)
    for attribute in sorted(_attributes(question, shown)):
        yield from _attribute(question, shown, attribute)
    for attribute, text in sorted((shown.image or {}).items()):
        yield f"    {attribute}={text}"


def _heading(question: Question, shown: Shown) -> Iterator[str]:
    if question.is_stanza:
        yield f"\n{shown.name}:"
        yield f"    objtype={shown.kind}"
    elif len(question.types) > 1:
        yield f"Object name: {shown.name}  ({shown.kind})"
    elif not question.is_compressed:
        yield f"Object name: {shown.name}"


def _attributes(question: Question, shown: Shown) -> set[str]:
    if shown.kind in objects.FREE_TYPES:
        known = set(shown.values)
        return known if question.wanted is None else known & set(question.wanted.names)
    has_members = shown.kind == "group"
    if question.wanted is None:
        return {*shown.values, *((objects.MEMBERS,) if has_members else ())}
    return set(question.wanted.names) & set(objects.TYPES[shown.kind].attributes)


def _attribute(question: Question, shown: Shown, attribute: str) -> Iterator[str]:
    prefix = f"{shown.name}: " if question.is_compressed else "    "
    if shown.kind == "group" and attribute == objects.MEMBERS:
        yield f"    {attribute}={','.join(shown.members)}"  # never compressed
        return
    found = shown.values.get(attribute)
    text = found.text if found else ""
    place = _place(shown.kind, attribute, found) if question.with_places and found else ""
    if not nics.is_nic_attribute(attribute):
        yield f"{prefix}{attribute}={text}{place}"
        return
    lines = _nic_lines(question.wanted, shown, attribute, text, prefix)
    if lines:
        yield "\n".join(lines) + place


def _nic_lines(
    wanted: Wanted | None, shown: Shown, attribute: str, text: str, prefix: str
) -> list[str]:
    adapters = wanted.adapters.get(attribute) if wanted else None
    node = None if shown.kind == "group" else shown.name
    return [
        f"{prefix}{attribute}.{adapter}={value}"
        for adapter, value in nics.items(text, node)
        if adapters is None or adapter in adapters
    ]


def _place(kind: str, attribute: str, found: Found) -> str:
    if found.entry is None:
        table = "site" if kind == "site" else "monsetting"
        return f"\t(Table:{table} - Key:{attribute})" if kind == "site" else f"\t(Table:{table})"
    entry = found.entry
    return f"\t(Table:{entry.table} - Key:{' '.join(entry.row_columns)} - Column:{entry.column})"
