"""Readers of what NIM prints.  Pure.

Owns: the formats of ``lsnim`` and of NIM's messages (docs/facts/nim.md, Commands, exit codes and messages; lsnim).
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from xcat_aix_proto.facts import NimObject

_HEADER = re.compile(r"(\S+):\s*\Z")
_ATTRIBUTE = re.compile(r"\s+(\S+)\s+=(?: (.*))?\Z")
_MESSAGE = re.compile(r"0042-\d{3}")


def stanzas(text: str) -> Tuple[NimObject, ...]:
    """The objects in the output of ``lsnim -l``; a value may go on in the following lines."""
    found: List[Tuple[str, List[List[str]]]] = []
    for line in text.splitlines():
        header = _HEADER.match(line)
        attribute = _ATTRIBUTE.match(line)
        if header and not line[0].isspace():
            found.append((header.group(1), []))
        elif not found:
            continue
        elif attribute:
            found[-1][1].append([attribute.group(1), (attribute.group(2) or "").strip()])
        elif line.strip() and found[-1][1]:
            found[-1][1][-1][1] += "\n" + line.strip()
    return tuple(
        NimObject(name, tuple((attribute, value) for attribute, value in attributes))
        for name, attributes in found
    )


def listing(text: str) -> Tuple[Tuple[str, str, str], ...]:
    """``(name, class, type)`` of each line of plain ``lsnim``."""
    rows = [line.split() for line in text.splitlines()]
    return tuple((row[0], row[1], row[2]) for row in rows if len(row) >= 3)


def colon_row(text: str, name: str, attributes: Sequence[str]) -> Optional[Mapping[str, str]]:
    """The values in the row of ``name`` in the output of ``lsnim -Z -a …``.

    NIM leaves an attribute without a value out of the row, and values may hold colons: a row whose
    fields cannot be told apart gives None, and the caller asks for one attribute at a time.  With one
    attribute everything between the name and the last colon is its value.
    """
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.startswith(f"{name}:"):
            continue
        rest = line[len(name) + 1 :].rstrip()
        rest = rest.removesuffix(":")
        if len(attributes) == 1:
            return {attributes[0]: rest} if rest else {}
        fields = rest.split(":")
        return dict(zip(attributes, fields)) if len(fields) == len(attributes) else None
    return None


def interface_fields(value: str) -> Tuple[str, ...]:
    """The words of an ``if<n>`` value: network, host, MAC, adapter; split by blanks or colons."""
    return tuple(word for word in re.split(r"[: ]+", value) if word)


def hosts(machine: NimObject) -> Tuple[str, ...]:
    """The host names of a machine's interfaces (``if1``, ``if2`` …)."""
    found: Dict[str, None] = {}
    for name, value in machine.attributes:
        words = interface_fields(value)
        if re.match(r"if\d+\Z", name) and len(words) >= 2:
            found[words[1]] = None
    return tuple(found)


def message(*outputs: str) -> str:
    """NIM's innermost message (the cause) in one line; without one, the last line that was printed."""
    text = "\n".join(output for output in outputs if output.strip())
    numbers = list(_MESSAGE.finditer(text))
    if numbers:
        return " ".join(text[numbers[-1].start() :].split())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
