"""Stanza files: object definitions as text, as ``lsdef -z`` writes them and ``mkdef -z`` reads them.

Pure.  Must not: know which types and attributes there are.  Facts: docs/facts/object-commands.md, Stanza files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The attribute that says which type of object a stanza is about; it should come first.
TYPE = "objtype"

_DEFAULTS = "default-"


@dataclass(frozen=True, slots=True)
class Stanzas:
    """Objects in the order of the file: name to attributes (with ``objtype``, where it was given).

    ``kinds`` are the object types in the order in which they were named.
    """

    objects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()


def parse(text: str) -> Stanzas:
    """Read a stanza file.

    A line that is neither a header nor ``attribute=value`` ends its stanza silently, as in xCAT; a
    value that ends in a colon is such a line.
    """
    reader = _Reader()
    for line in text.split("\n"):
        reader.take(line.strip())
    return Stanzas(reader.objects, tuple(reader.kinds))


class _Reader:
    """What was read so far.  ``_target`` is where attributes go now; None: nowhere."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, str]] = {}
        self.kinds: list[str] = []
        self._defaults: dict[str, dict[str, str]] = {}
        self._target: dict[str, str] | None = None
        self._is_default = False
        self._known: dict[str, str] = {}  # the same few texts come thousands of times

    def take(self, line: str) -> None:
        if not line or line.startswith("#"):
            return
        if line.endswith(":"):
            self._header(line[:-1].strip())
        elif "=" in line and self._target is not None:
            name, _, value = line.partition("=")
            self._attribute(self._once(name.rstrip()), self._once(_unquoted(value.lstrip())))
        else:
            self._target = None

    def _once(self, text: str) -> str:
        return self._known.setdefault(text, text)

    def _header(self, name: str) -> None:
        if "=" in name:
            self._target = None
            return
        kind = name.removeprefix(_DEFAULTS)
        self._is_default = name.startswith(_DEFAULTS) and kind != "" and "-" not in kind
        if self._is_default:
            self._target = self._defaults.setdefault(kind, {})
        else:
            self._target = self.objects.setdefault(name, {})

    def _attribute(self, name: str, value: str) -> None:
        target = self._target
        if target is None:
            return
        target[name] = value
        if name == TYPE and not self._is_default:
            self.kinds.append(value)
            target.update(self._defaults.get(value, {}))


def _unquoted(value: str) -> str:
    """Without one double quote at either end and the blanks inside them."""
    if value.startswith('"'):
        value = value[1:].lstrip()
    return value[:-1].rstrip() if value.endswith('"') else value
