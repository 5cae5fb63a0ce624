"""What a user asked lsdef for: its arguments, checked, as one value.

Owns the options, which of them exclude each other, and the texts of the refusals.  Must not: look at the
database (names are expanded by a function it is given).  Facts: specs/object-commands.md, sections 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcatd import conditions, objects, perlre
from xcatd.selection import Condition

from . import options
from .options import Arguments, flag, value

#: A noderange and whether its names must exist, to names.
Expand = Callable[[str, bool], Sequence[str]]

OPTIONS = (
    flag("a", "all"),
    flag("c", "compress"),
    flag("d", "dynamic"),
    flag("f", "force"),
    value("i"),
    flag("h", "help", "?"),
    flag("l", "long"),
    flag("s", "short"),
    flag("m", "minus"),
    value("n"),
    value("o"),
    flag("p", "plus"),
    value("t"),
    flag("V", "verbose"),
    flag("v", "version"),
    value("w"),
    flag("x", "xml"),
    flag("z", "stanza"),
    flag("nocache"),
    flag("S"),
    flag("osimage"),
    flag("nics"),
    flag("u"),
    flag("C", "cleanup"),
)

#: What ``--nics`` asks for.
NIC_ATTRIBUTES = (
    "nicips,nichostnamesuffixes,nichostnameprefixes,nictypes,niccustomscripts,nicnetworks,"
    "nicaliases,nicextraparams,nicdevices"
)

_EXCLUSIVE = (
    ("i", "osimage"),
    ("z", "osimage"),
    ("a", "t"),
    ("l", "s"),
    ("i", "nics"),
    ("i", "s"),
)


class Refused(ValueError):  # noqa: N818 - reads as what it is
    """The request cannot be answered; ``with_usage`` says whether the usage is shown as well."""

    def __init__(self, text: str, *, with_usage: bool = False) -> None:
        super().__init__(text)
        self.with_usage = with_usage


@dataclass(frozen=True, slots=True)
class Wanted:
    """The attributes ``-i`` named: ``names`` in order, ``adapters`` where a nic attribute was narrowed."""

    names: tuple[str, ...] = ()
    adapters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Read ``mgt,nicips.eth0,…``."""
        names: list[str] = []
        adapters: dict[str, tuple[str, ...]] = {}
        for item in _split(text):
            name, dot, adapter = item.partition(".")
            if dot and name.startswith("nic") and len(name) > len("nic"):
                adapters[name] = (*adapters.get(name, ()), adapter)
                names.append(name)
            else:
                names.append(item)
        return cls(tuple(names), adapters)


@dataclass(frozen=True, slots=True)
class Question:
    """A checked request for objects.

    ``names`` is None for all objects of the types.  ``is_checked``: a name that does not exist is an error.
    ``shows_details`` is the long form; else only names are listed.
    """

    types: tuple[str, ...]
    names: tuple[str, ...] | None
    is_checked: bool
    shows_details: bool
    is_all: bool = False
    wanted: Wanted | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    is_compressed: bool = False
    is_stanza: bool = False
    with_hidden: bool = False
    with_osimage: bool = False
    with_places: bool = False

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
    wanted: Wanted | None


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """A request for the usage."""


@dataclass(frozen=True, slots=True)
class VersionQuestion:
    """A request for the version."""


AnyQuestion = Question | HelpQuestion | UsageQuestion | VersionQuestion


def parse(words: Sequence[str], expand: Expand) -> AnyQuestion:
    """Read the arguments in the order in which xCAT finds fault with them; raises Refused."""
    try:
        arguments = options.parse(words, OPTIONS)
    except options.OptionError:
        raise Refused("Invalid option..", with_usage=True) from None
    _check(arguments)
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


def _check(arguments: Arguments) -> None:
    for text in _faults(arguments):
        raise Refused(text, with_usage=True)


def _faults(arguments: Arguments) -> Iterator[str]:
    if arguments.has("u"):
        yield "Option '-u' can not work with lsdef."
    if arguments.has("C"):
        yield "Option '-C' can not be used with lsdef."
    if arguments.has("x"):
        yield "The '-x' (XML format) option is not yet implemented."
    for one, other in _EXCLUSIVE:
        if _is_given(arguments, one) and _is_given(arguments, other):
            yield f"The flags '{_dashed(one)}' and '{_dashed(other)}' cannot be used together."
    if arguments.has("nics") and arguments.has("s"):
        yield "The flags '-i' and '-s' cannot be used together."
    if arguments.has("c") and not (_is_given(arguments, "i") or arguments.has("nics")):
        yield "The flags '-c' and '-i' must be used together."


def _is_given(arguments: Arguments, name: str) -> bool:
    takes_value = name in {"i", "t"}
    return bool(arguments.value(name)) if takes_value else arguments.has(name)


def _dashed(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


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
        operands = _until_blank(arguments.operands)
        ranges = [operand for operand in operands if "=" not in operand]
        if len(ranges) > 1:
            raise Refused("noderange can not contain spaces.", with_usage=True)
        if not ranges:
            return cls(has_assignment=bool(operands))
        if kinds not in {"", "node"}:
            names = _split(ranges[0])
        else:
            names = _expanded(ranges[0], expand)
        return cls(ranges[0], names, has_assignment=len(operands) > 1)


def _until_blank(operands: Sequence[str]) -> list[str]:
    """Up to an empty operand or one that is ``0``, where xCAT stops reading."""
    end = next((i for i, operand in enumerate(operands) if operand in {"", "0"}), len(operands))
    return list(operands[:end])


def _expanded(text: str, expand: Expand) -> tuple[str, ...]:
    is_pattern = text.startswith("/")
    if is_pattern:
        try:
            perlre.compile_pattern(text)
        except perlre.BadPattern:
            raise Refused(
                f"Invalid regular expression {text}, check the noderange syntax."
            ) from None
    names = tuple(expand(text, is_pattern))
    if not names:
        raise Refused(f"No node in '{text}', check the noderange syntax.")
    return names


def _types(kinds: str, operand: _Operand) -> tuple[str, ...]:
    names = _split(kinds)
    if len(names) > 1 and operand.has_assignment:
        raise Refused("Cannot combine multiple types with 'att=val' pairs on the command line.")
    for name in names:
        if name not in objects.TYPES:
            raise Refused(f"\nType '{name}' is not a valid xCAT object type.")
    return names


def _wanted(arguments: Arguments) -> Wanted | None:
    text = NIC_ATTRIBUTES if arguments.has("nics") else arguments.value("i")
    wanted = Wanted.parse(text)
    return wanted if wanted.names else None


def _question(
    arguments: Arguments,
    types: tuple[str, ...],
    operand: _Operand,
    wanted: Wanted | None,
    expand: Expand,
) -> Question:
    is_all = arguments.has("a")
    if is_all and (arguments.value("o") or operand.names):
        raise Refused("Cannot use '-a' with '-o', a noderange or file input.")
    names = None if is_all else _names(arguments, types, operand, expand)
    named = bool(arguments.value("o") or operand.names)
    if names is not None and not names:
        raise Refused("No object names were provided.")
    is_long = named or any(arguments.has(name) for name in ("l", "i", "nics", "z"))
    return Question(
        types=tuple(objects.TYPES) if is_all else types,
        names=names,
        is_checked=named,
        shows_details=is_long and not arguments.has("s"),
        is_all=is_all,
        wanted=wanted,
        conditions=_conditions(arguments.values("w")),
        is_compressed=arguments.has("c"),
        is_stanza=arguments.has("z"),
        with_hidden=arguments.has("S"),
        with_osimage=arguments.has("osimage"),
        with_places=arguments.has("V"),
    )


def _names(
    arguments: Arguments, types: tuple[str, ...], operand: _Operand, expand: Expand
) -> tuple[str, ...] | None:
    given = arguments.value("o")
    if types == ("site",):
        names = (given,) if given else operand.names
        return tuple(dict.fromkeys((*names, objects.CLUSTER_SITE)))
    if given:
        is_node = arguments.value("t", "node") in {"", "node"}
        return tuple(expand(given, given.startswith("/"))) if is_node else _split(given)
    return operand.names or None


def _split(text: str) -> tuple[str, ...]:
    """A comma list as Perl splits it: empty items at the end do not count."""
    items = text.split(",")
    while items and not items[-1]:
        items.pop()
    return tuple(items)


def _conditions(texts: Sequence[str]) -> dict[str, Condition]:
    try:
        return conditions.parse(texts)
    except (conditions.BadCondition, perlre.BadPattern):
        raise Refused("Incorrect selection string specified with -w flag.") from None
