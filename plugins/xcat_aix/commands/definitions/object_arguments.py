"""The arguments lsdef, mkdef, chdef and rmdef have in common: one table of options, one set of refusals.

Owns the options, which of them exclude each other, and how names and types are read.  Must not: look at the
database (names are expanded by a function it is given), or know what a command does.
Facts: docs/facts/object-commands.md, Arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments, flag, value
from xcatd.api import secrets
from xcatd.noderange import selection
from xcatd.noderange.selection import Condition
from xcatd.objects import conditions, mapping
from xcatd.text import perlre

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

#: Commands that write an osimage's attributes.
_DERIVING = ("mkdef", "chdef")


class Refused(ValueError):
    """The request cannot be answered; ``with_usage`` says whether the usage is shown as well.

    ``more`` are further lines of the same message.
    """

    def __init__(self, text: str, *more: str, with_usage: bool = False) -> None:
        super().__init__(text)
        self.lines = (text, *more)
        self.with_usage = with_usage


def check(arguments: Arguments, command: str) -> None:
    """Refuse options that this command does not have, or that exclude each other."""
    for text in _faults(arguments, command):
        raise Refused(text, with_usage=True)


def _faults(arguments: Arguments, command: str) -> Iterator[str]:
    if arguments.has("u") and command not in _DERIVING:
        yield f"Option '-u' can not work with {command}."
    if arguments.has("C") and command != "rmdef":
        yield f"Option '-C' can not be used with {command}."
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


def until_blank(operands: Sequence[str]) -> list[str]:
    """Up to an empty operand or one that is ``0``, where xCAT stops reading."""
    end = next((i for i, operand in enumerate(operands) if operand in {"", "0"}), len(operands))
    return list(operands[:end])


def expanded(text: str, expand: Expand, *, allows_pattern: bool = True) -> tuple[str, ...]:
    """The names of a noderange; without ``allows_pattern`` a leading slash is nothing special.

    Commas alone name nothing, which is not the same as a range without nodes.
    """
    if not text.strip(","):
        return ()
    is_pattern = allows_pattern and text.startswith("/")
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


def checked_kinds(text: str, *, has_assignment: bool) -> tuple[str, ...]:
    """The types of ``-t``; ``has_assignment``: there are attributes, so one type only."""
    names = split(text)
    if len(names) > 1 and has_assignment:
        raise Refused("Cannot combine multiple types with 'att=val' pairs on the command line.")
    for name in names:
        if name not in mapping.TYPES:
            raise Refused(f"\nType '{name}' is not a valid xCAT object type.")
    return names


def split(text: str) -> tuple[str, ...]:
    """A comma list as Perl splits it: empty items at the end do not count."""
    items = text.split(",")
    while items and not items[-1]:
        items.pop()
    return tuple(items)


def takes_away(words: Sequence[str]) -> bool:
    """Whether ``-m`` is among the words."""
    try:
        return options.parse(words, (*OPTIONS, options.optional_value("template"))).has("m")
    except options.OptionError:
        return False


def selects_secrets(words: Sequence[str]) -> bool:
    """Whether any ``-w`` among the words is about a secret."""
    try:
        arguments = options.parse(words, (*OPTIONS, options.optional_value("template")))
    except options.OptionError:
        return False
    found = (selection.parse(text, conditions.OPERATORS) for text in arguments.values("w"))
    return secrets.any_selected(condition.left for condition in found if condition)


def conditions_of(texts: Sequence[str]) -> Mapping[str, Condition]:
    """The conditions of ``-w``."""
    try:
        return conditions.parse(texts)
    except (conditions.BadCondition, perlre.BadPattern):
        raise Refused("Incorrect selection string specified with -w flag.") from None
