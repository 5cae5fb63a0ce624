"""How lsdef shows one object: the lines, in every form the command has.

Pure text.  Must not: read anything, or decide which objects are shown.
Facts: docs/facts/object-commands.md, lsdef.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcatd.objects import mapping, nics
from xcatd.objects.mapping import Entry
from xcatd.objects.reader import Values

from .lsdef_arguments import LsdefQuestion, WantedAttributes

STANZA_HEADER = "# <xCAT data object stanza file>"


@dataclass(frozen=True, slots=True)
class Shown:
    """One object to show.

    ``members`` are a group's nodes, ``image`` a node's osimage attributes, ``places`` say where values came
    from (only looked at with -V).
    """

    name: str
    kind: str
    values: Values
    members: Sequence[str] = ()
    image: Mapping[str, str] | None = None
    places: Mapping[str, Entry] = field(default_factory=dict)


def name_line(question: LsdefQuestion, name: str, kind: str) -> str:
    """The one line of the short form."""
    if question.is_stanza:
        return f"\n{name}:"
    return f"{name} ({kind})" if question.is_all else f"{name}  ({kind})"


def details(question: LsdefQuestion, shown: Shown) -> Iterator[str]:
    """The lines of the long form."""
    yield from _heading(question, shown)
    prefix = f"{shown.name}: " if question.is_compressed else "    "
    for attribute in sorted(_attributes(question, shown)):
        text = shown.values.get(attribute, "")
        if attribute == mapping.MEMBERS and shown.kind == "group":
            yield f"    {attribute}={','.join(shown.members)}"  # never compressed
        elif nics.is_nic_attribute(attribute):
            yield from _nic_lines(question.wanted, shown, attribute, text, prefix)
        elif question.with_places:
            yield f"{prefix}{attribute}={text}{_place(shown, attribute)}"
        else:
            yield f"{prefix}{attribute}={text}"
    for attribute, text in sorted((shown.image or {}).items()):
        yield f"    {attribute}={text}"


def _heading(question: LsdefQuestion, shown: Shown) -> Iterator[str]:
    if question.is_stanza:
        yield f"\n{shown.name}:"
        yield f"    objtype={shown.kind}"
    elif len(question.types) > 1 and not (question.is_all and question.templates is not None):
        yield f"Object name: {shown.name}  ({shown.kind})"
    elif not question.is_compressed:
        yield f"Object name: {shown.name}"


def _attributes(question: LsdefQuestion, shown: Shown) -> Collection[str]:
    known = shown.values
    if shown.kind in mapping.FREE_TYPES:
        return known if question.wanted is None else known.keys() & set(question.wanted.names)
    if question.wanted is not None:
        return set(question.wanted.names) & set(mapping.TYPES[shown.kind].attributes)
    return {*known, mapping.MEMBERS} if shown.kind == "group" else known


def _nic_lines(
    wanted: WantedAttributes | None, shown: Shown, attribute: str, text: str, prefix: str
) -> Iterator[str]:
    """The adapters' lines, as one text."""
    adapters = wanted.adapters.get(attribute) if wanted else None
    node = None if shown.kind == "group" else shown.name
    lines = [
        f"{prefix}{attribute}.{adapter}={value}"
        for adapter, value in nics.items(text, node)
        if adapters is None or adapter in adapters
    ]
    if lines:
        yield "\n".join(lines)


def _place(shown: Shown, attribute: str) -> str:
    if shown.kind == "site":
        return f"\t(Table:site - Key:{attribute})"
    if shown.kind == "monitoring":
        return "\t(Table:monsetting)"
    entry = shown.places.get(attribute)
    if entry is None:
        return ""
    return f"\t(Table:{entry.table} - Key:{' '.join(entry.row_columns)} - Column:{entry.column})"
