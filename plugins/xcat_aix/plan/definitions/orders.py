"""What a user asked mkdef, chdef or rmdef for: the value between command and planner.

Owns: that value.  Must not: parse arguments, or plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from xcatd.noderange.selection import Condition

from .objects import Mode

#: A noderange whose names need not exist, to names.
ExpandMembers = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Order:
    """A checked command line.

    ``kind_text`` is ``-t`` as typed, ``kinds`` the types it names (node where nothing else says a type);
    ``names`` and ``attributes`` come from the command line, ``stanzas`` from standard input.  ``where`` holds the
    texts of ``-w`` and ``conditions`` what they mean.  ``template`` is an object to take attributes from;
    ``template_values`` are those of one that comes with xCAT.
    """

    kinds: tuple[str, ...] = ("node",)
    kind_text: str = ""
    names: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    stanzas: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mode: Mode = Mode.REPLACE
    is_forced: bool = False
    is_dynamic: bool = False
    is_verbose: bool = False
    is_all: bool = False
    with_cleanup: bool = False
    derives: bool = False
    where: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    new_name: str = ""
    template: str = ""
    template_values: Mapping[str, str] | None = None
