"""What a user asked lsdef for: its arguments, checked, as one value.

Owns the options, which of them exclude each other, and the texts of the refusals.  Must not: look at the
database (names are expanded by a function it is given).  Facts: docs/facts/object-commands.md, Arguments; lsdef.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments
from xcatd.noderange.selection import Condition
from xcatd.objects import mapping

from . import object_arguments
from .object_arguments import Expand, Refused

OPTIONS = (*object_arguments.OPTIONS, options.optional_value("template"))


@dataclass(frozen=True, slots=True)
class WantedAttributes:
    """The attributes ``-i`` named: ``names`` in order, ``adapters`` where a nic attribute was narrowed."""

    names: tuple[str, ...] = ()
    adapters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> WantedAttributes:
        """Read ``mgt,nicips.eth0,…``."""
        names: list[str] = []
        adapters: dict[str, tuple[str, ...]] = {}
        for item in object_arguments.split(text):
            name, dot, adapter = item.partition(".")
            if dot and name.startswith("nic") and len(name) > len("nic"):
                if adapter:
                    adapters[name] = (*adapters.get(name, ()), adapter)
                names.append(name)
            else:
                names.append(item)
        return cls(tuple(names), adapters)


@dataclass(frozen=True, slots=True)
class LsdefQuestion:
    """A checked request for objects.

    ``names`` is None for all objects of the types.  ``is_checked``: a name that does not exist is an error.
    ``shows_details`` is the long form; else only names are listed.  ``templates`` are the templates that come with
    xCAT to show instead of objects: an empty tuple is all of them, None none; with ``names`` they are only looked for.
    """

    types: tuple[str, ...]
    names: tuple[str, ...] | None
    is_checked: bool
    shows_details: bool
    is_all: bool = False
    wanted: WantedAttributes | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    is_compressed: bool = False
    is_stanza: bool = False
    with_hidden: bool = False
    with_osimage: bool = False
    with_places: bool = False
    templates: tuple[str, ...] | None = None

    @property
    def needs_values(self) -> bool:
        """Whether attributes must be read, not only names."""
        return self.shows_details or bool(self.conditions)

    @property
    def attributes(self) -> frozenset[str] | None:
        """The attributes to read; None for all."""
        if self.wanted is None or (self.conditions and not self.wanted.names):
            return None
        needed = {*self.wanted.names, *self.conditions}
        if self.with_osimage:
            needed |= {"provmethod", "os", "arch", "profile"}
        return frozenset(needed)


@dataclass(frozen=True, slots=True)
class HelpQuestion:
    """A request for the attributes of object types."""

    types: tuple[str, ...]
    wanted: WantedAttributes | None


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """A request for the usage."""


@dataclass(frozen=True, slots=True)
class VersionQuestion:
    """A request for the version."""


AnyQuestion = LsdefQuestion | HelpQuestion | UsageQuestion | VersionQuestion


def parse(words: Sequence[str], expand: Expand) -> AnyQuestion:
    """Read the arguments in the order in which xCAT finds fault with them; raises Refused."""
    try:
        arguments = options.parse(words, OPTIONS)
    except options.OptionError:
        raise Refused("Invalid option..", with_usage=True) from None
    object_arguments.check(arguments, "lsdef")
    kinds = _kinds_text(arguments)
    operand = _Operand.read(arguments, kinds, expand)
    if arguments.has("h") and not arguments.value("t"):
        return UsageQuestion()
    if arguments.has("v"):
        return VersionQuestion()
    types = _types(kinds, operand)
    wanted = _wanted(arguments)
    if arguments.has("h"):
        return HelpQuestion(types, wanted)
    return _question(arguments, types, operand, wanted, expand)


def _kinds_text(arguments: Arguments) -> str:
    """The text of ``-t``, which is node unless -a or -h want otherwise."""
    kinds = arguments.value("t")
    if not kinds and not arguments.has("a") and not arguments.has("h"):
        kinds = "node"
    return kinds


@dataclass(frozen=True, slots=True)
class _Operand:
    """What the operands say: a list of names, and whether there was an ``attr=value``."""

    text: str = ""
    names: tuple[str, ...] = ()
    has_assignment: bool = False

    @classmethod
    def read(cls, arguments: Arguments, kinds: str, expand: Expand) -> _Operand:
        operands = object_arguments.until_blank(arguments.operands)
        ranges = [operand for operand in operands if "=" not in operand]
        if len(ranges) > 1:
            raise Refused("noderange can not contain spaces.", with_usage=True)
        if not ranges:
            return cls(has_assignment=bool(operands))
        if kinds not in {"", "node"}:
            names = object_arguments.split(ranges[0])
        else:
            names = object_arguments.expanded(ranges[0], expand)
        return cls(ranges[0], names, has_assignment=len(operands) > 1)


def _types(kinds: str, operand: _Operand) -> tuple[str, ...]:
    return object_arguments.checked_kinds(kinds, has_assignment=operand.has_assignment)


def _wanted(arguments: Arguments) -> WantedAttributes | None:
    text = object_arguments.NIC_ATTRIBUTES if arguments.has("nics") else arguments.value("i")
    wanted = WantedAttributes.parse(text)
    return wanted if wanted.names else None


def _question(
    arguments: Arguments,
    types: tuple[str, ...],
    operand: _Operand,
    wanted: WantedAttributes | None,
    expand: Expand,
) -> LsdefQuestion:
    is_all = arguments.has("a")
    if is_all and (arguments.value("o") or operand.names):
        raise Refused("Cannot use '-a' with '-o', a noderange or file input.")
    names = None if is_all else _names(arguments, types, operand, expand)
    named = bool(arguments.value("o").strip(",") or operand.names)
    if names is not None and not names:
        raise Refused("No object names were provided.")
    is_long = named or any(arguments.has(name) for name in ("l", "i", "nics", "z"))
    templates = None
    if arguments.has("template"):
        templates = object_arguments.split(arguments.value("template"))
    return LsdefQuestion(
        types=tuple(mapping.TYPES) if is_all else types,
        names=names,
        is_checked=named,
        shows_details=(is_long or bool(templates)) and not arguments.has("s"),
        is_all=is_all,
        wanted=wanted,
        conditions=object_arguments.conditions_of(arguments.values("w")),
        is_compressed=arguments.has("c"),
        is_stanza=arguments.has("z"),
        with_hidden=arguments.has("S"),
        with_osimage=arguments.has("osimage"),
        with_places=arguments.has("V"),
        templates=templates,
    )


def _names(
    arguments: Arguments, types: tuple[str, ...], operand: _Operand, expand: Expand
) -> tuple[str, ...] | None:
    given = arguments.value("o")
    if types == ("site",):
        names = (given,) if given else operand.names
        return tuple(dict.fromkeys((*names, mapping.CLUSTER_SITE)))
    if given.strip(","):
        is_node = arguments.value("t", "node") in {"", "node"}
        return (
            tuple(expand(given, given.startswith("/")))
            if is_node
            else object_arguments.split(given)
        )
    return operand.names or None
