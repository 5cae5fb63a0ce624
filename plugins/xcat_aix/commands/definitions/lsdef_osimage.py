"""The osimage attributes that ``lsdef --osimage`` shows with a node.

Pure over what was read.  Facts: docs/facts/object-commands.md, lsdef.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xcatd.objects.reader import ObjectReader, Values

#: Values of provmethod that are ways to install; any other value names an osimage.
METHODS = frozenset(("install", "netboot", "statelite"))

_NEEDED = ("os", "arch", "profile", "provmethod")


@dataclass(slots=True)
class Images:
    """What was found: attributes per node, and what to tell the user."""

    by_node: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(reader: ObjectReader, nodes: Mapping[str, Values], installdir: str) -> Images:
    """The osimage of every node, all definitions read at once."""
    named = {node: name for node, values in nodes.items() if (name := _image_name(values))}
    definitions = _definitions(reader, named.values())
    found = Images()
    for node, values in nodes.items():
        if node in named:
            found.by_node[node] = definitions[named[node]]
        elif all(values.get(attribute) for attribute in _NEEDED):
            found.by_node[node] = _derived(values, installdir)
        else:
            found.errors.append(
                f"Missing attributes for node {node}, check the node attributes "
                "'os', 'arch','profile' and 'provmethod'."
            )
            found.warnings.append(f"{node}: could not find information for osimage ")
    return found


def _image_name(values: Mapping[str, str]) -> str:
    method = values.get("provmethod", "")
    return "" if method in METHODS else method


def _definitions(reader: ObjectReader, names: Iterable[str]) -> dict[str, dict[str, str]]:
    found = reader.read("osimage", set(names))
    return {name: {"objtype": "osimage", **values} for name, values in found.items()}


def _derived(values: Mapping[str, str], installdir: str) -> dict[str, str]:
    """What follows from the node's own attributes.

    Template, package and synchronisation lists are not looked for in the file system.
    """
    release, arch, profile = values["os"], values["arch"], values["profile"]
    method = values["provmethod"]
    derived = {
        "osvers": release,
        "osarch": arch,
        "imagetype": "linux",
        "osname": "Linux",
        "profile": profile,
        "provmethod": method,
        "pkgdir": f"{installdir}/{release}/{arch}",
        "otherpkgdir": f"{installdir}/post/otherpkgs/{release}/{arch}",
    }
    if method != "install":
        derived["rootimgdir"] = f"{installdir}/netboot/{release}/{arch}/{profile}"
    return derived
