"""What tables, columns and object types are for: the texts of ``tabdump -d``, ``lsdef -h`` and usages.

Owns their layout; the texts themselves are :mod:`.descriptions_data`.  Must not: read a database.
Facts: docs/facts/object-commands.md, Arguments; docs/facts/table-commands.md, tabdump.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache

from xcatd.db import schema

from . import mapping
from .descriptions_data import COLUMNS, TABLES


@cache
def _columns() -> Mapping[str, str]:
    return dict(_parse(COLUMNS))


@cache
def tables() -> Mapping[str, str]:
    """Every table's purpose."""
    texts = dict(_parse(TABLES))
    return {name: texts[name] for name in schema.TABLES}


def _parse(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\n    ", " ").splitlines():
        name, _, meaning = line.partition(": ")
        yield name, meaning


def column(table: str, name: str) -> str:
    """A column's purpose: its own text, or the one all columns of this name share.

    Raises KeyError for a column of no table.
    """
    texts = _columns()
    return texts.get(f"{table}.{name}") or texts[name]


def labelled(name: str, text: str) -> str:
    """``name:`` and tabs before the text, as xCAT lists descriptions."""
    tabs = "\t\t" if len(name) < 7 else "\t"
    return f"{name}:{tabs}{text}"


def type_help(kind: str, names: Collection[str] | None) -> tuple[str, ...]:
    """The attributes of an object type; ``names`` narrows them."""
    if kind == "site":
        return (_SITE_HELP, column("site", "key"))
    definition = mapping.TYPES[kind]
    places = {attribute: definition.places(attribute)[0] for attribute in definition.attributes}
    lines = [
        labelled(attribute, column(place.table, place.column))
        for attribute, place in places.items()
        if names is None or attribute in names
    ]
    head = f"The valid attribute names for object type '{kind}' are:" if names is None else ""
    texts = (head, "Attribute          Description\n", "\n\n".join(sorted(lines)))
    return (*texts, _MONITORING_HELP) if kind == "monitoring" else texts


_SITE_HELP = """
There is one site definition for the whole cluster, the object clustersite.
Its attributes are the keys of the site table; any name is accepted."""

_MONITORING_HELP = """
Any other attribute is a setting of the monitoring plug-in itself."""


def lsdef_usage() -> tuple[str, ...]:
    """The usage of lsdef."""
    return (
        "\nUsage: lsdef [noderange] [-t TYPE,...] [-o NAME,...] [options]\n",
        "  lsdef -h [-t TYPE [-i ATTRIBUTE,...]]   this text, or the attributes of a type",
        "  lsdef -v                                the version\n",
        "  -a, --all        objects of all types",
        "  -l, --long       every attribute",
        "  -s, --short      names only",
        "  -i ATTRIBUTE,..  these attributes only, with or without a value",
        "  -c, --compress   with -i: one line 'name: attribute=value' per attribute",
        "  -w COND          only objects that match; repeatable; attr==val attr!=val attr=~re attr!~re",
        "  -z, --stanza     in a form that mkdef -z reads",
        "  -S               hidden nodes as well",
        "  --nics           the attributes of network adapters",
        "  --osimage        with the attributes of each node's osimage",
        "  --template[=T,..] the templates that come with xCAT, or these of them",
        "  -V, --verbose    with the table, key and column of each value\n",
        "Types of objects:\n",
        f" {' '.join(mapping.TYPES)}\n",
    )
