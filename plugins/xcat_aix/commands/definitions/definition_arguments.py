"""The arguments of mkdef, chdef and rmdef as one value, found fault with in the order xCAT does.

Must not: look at the database or at files (functions it is given do).
Facts: docs/facts/object-commands.md, Arguments; mkdef; chdef; rmdef.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from xcat_aix.commands import options
from xcat_aix.commands.options import Arguments
from xcat_aix.plan.definitions.gathering import attribute_names, has_adapter
from xcat_aix.plan.definitions.objects import Mode
from xcat_aix.plan.definitions.orders import Order
from xcatd.objects import mapping, object_names

from . import object_arguments, stanzas
from .lsdef_arguments import HelpQuestion, UsageQuestion, VersionQuestion, WantedAttributes
from .object_arguments import Expand, Refused
from .stanzas import Stanzas

OPTIONS = (*object_arguments.OPTIONS, options.optional_value("template"))

#: What rmdef refuses, lest somebody removes more than was meant.
_NOT_FOR_RMDEF = ("d", "i", "nics", "l", "m", "p", "w", "x", "z", "s")

#: A type of object, to the text of the templates that come with xCAT for it.
ReadTemplates = Callable[[str], str]

AnyOrder = Order | HelpQuestion | UsageQuestion | VersionQuestion


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What came with the request: words, standard input, and the two ways to ask for more."""

    command: str
    words: Sequence[str]
    stdin: str
    expand: Expand
    read_templates: ReadTemplates


@dataclass(slots=True)
class _Operands:
    """Names and attributes among the operands.

    ``is_range``: the names came from a noderange.  ``count`` is how many objects the command line names, those
    that it names twice counted twice.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    is_range: bool = False


def parse(line: CommandLine) -> AnyOrder:
    """Read the arguments; raises Refused."""
    if not line.words or list(line.words) == ["-S"]:
        return UsageQuestion()
    try:
        arguments = options.parse(line.words, OPTIONS)
    except options.OptionError:
        raise Refused("Invalid option..", with_usage=True) from None
    object_arguments.check(arguments, line.command)
    kind_text = _kind_text(arguments, line)
    _check_template(arguments, line)
    operands = _operands(arguments, kind_text, line)
    _check_operands(arguments, kind_text, operands, line)
    if arguments.has("h") and not arguments.has("t"):
        return UsageQuestion()
    if arguments.has("v"):
        return VersionQuestion()
    return _order(arguments, kind_text, operands, line)


def _kind_text(arguments: Arguments, line: CommandLine) -> str:
    kind_text = arguments.value("t")
    if arguments.has("u"):
        if not kind_text and not line.stdin:
            kind_text = "osimage"
        elif kind_text != "osimage":
            raise Refused("Option '-u' only work for objtype 'osimage'.", with_usage=True)
    new_name = arguments.value("n")
    if line.command == "chdef" and new_name and not _is_name(kind_text, new_name):
        text = (
            f"The new object name '{new_name}' is not valid.Please refer to \"man xcatdb\" for the "
            'valid "xCAT Object Name Format" '
        )
        raise Refused(text, with_usage=True)
    return kind_text


def _is_name(kind_text: str, name: str) -> bool:
    return object_names.is_valid(kind_text or "node", name)


def _check_template(arguments: Arguments, line: CommandLine) -> None:
    if not arguments.has("template"):
        return
    text = ""
    if line.command != "mkdef":
        text = f"The option '--template' can not be used with '{line.command}'."
    elif not arguments.value("template"):
        text = "no object definition template specified for mkdef --template!"
    elif "," in arguments.value("template"):
        text = "Only 1 template object definition should be specified for mkdef!"
    elif line.stdin:
        text = "The file input can not be used with --template option!"
    if text:
        raise Refused(text, with_usage=True)


def _operands(arguments: Arguments, kind_text: str, line: CommandLine) -> _Operands:
    found = _Operands()
    is_named = False
    for operand in object_arguments.until_blank(arguments.operands):
        if "=" in operand:
            name, _, text = operand.partition("=")
            found.attributes[name.strip()] = text.lstrip().removesuffix("\n")
            continue
        if is_named:
            raise Refused("noderange can not contain spaces.", with_usage=True)
        is_named = True
        found.is_range = kind_text in {"", "node"}
        if found.is_range:
            allows_pattern = line.command != "mkdef"
            found.names = object_arguments.expanded(
                operand, line.expand, allows_pattern=allows_pattern
            )
        else:
            found.names = object_arguments.split(operand)
    return found


def _check_operands(
    arguments: Arguments, kind_text: str, operands: _Operands, line: CommandLine
) -> None:
    is_node_change = line.command == "chdef" and kind_text in {"", "node"}
    adds_or_removes = arguments.has("m") or arguments.has("p")
    if is_node_change and adds_or_removes and has_adapter(operands.attributes):
        raise Refused(
            "chdef does not support to change the nic related attributes with -m or -p flag."
        )
    if line.command == "rmdef" and any(map(arguments.has, _NOT_FOR_RMDEF)):
        raise Refused("Invalid flag specified, see rmdef manpage for details.", with_usage=True)


def _order(
    arguments: Arguments, kind_text: str, operands: _Operands, line: CommandLine
) -> Order | HelpQuestion:
    found = stanzas.parse(line.stdin)
    kinds = object_arguments.checked_kinds(kind_text, has_assignment=bool(operands.attributes))
    if not kinds and not arguments.has("a") and (not found.kinds or arguments.value("o")):
        kinds = ("node",)
    if arguments.has("h"):
        return HelpQuestion(
            kinds, WantedAttributes.parse(arguments.value("i")) if arguments.has("i") else None
        )
    names = _names(arguments, kind_text, kinds, operands, line)
    operands.count = len(names)
    _check_names(arguments, names, operands, found, line)
    order = Order(
        kinds=kinds,
        kind_text=kind_text,
        names=tuple(dict.fromkeys(names)),
        attributes=operands.attributes,
        stanzas=found.objects,
        mode=_mode(arguments),
        is_forced=arguments.has("f"),
        is_dynamic=arguments.has("d"),
        is_verbose=arguments.has("V"),
        is_all=arguments.has("a"),
        with_cleanup=arguments.has("C"),
        derives=arguments.has("u"),
        where=arguments.values("w"),
        conditions=object_arguments.conditions_of(arguments.values("w")),
        new_name=arguments.value("n"),
    )
    _check_conditions(order)
    if arguments.value("i") or arguments.has("nics"):
        raise Refused("The '-i' option is only valid for the lsdef command.")
    order = _with_template(arguments, order, line)
    _check_for_command(arguments, order, operands, line)
    return order


def _mode(arguments: Arguments) -> Mode:
    if arguments.has("p"):
        return Mode.ADD
    return Mode.REMOVE if arguments.has("m") else Mode.REPLACE


def _names(
    arguments: Arguments,
    kind_text: str,
    kinds: tuple[str, ...],
    operands: _Operands,
    line: CommandLine,
) -> tuple[str, ...]:
    given = arguments.value("o")
    names = () if operands.is_range and kinds[:1] != ("node",) else operands.names
    if kind_text == "site":
        extra = (given,) if given else ()
        return (*names, *extra, *(() if given == mapping.CLUSTER_SITE else (mapping.CLUSTER_SITE,)))
    if not given:
        return names
    if kind_text == "node":
        allows_pattern = line.command != "mkdef" and given.startswith("/")
        return tuple(line.expand(given, allows_pattern))
    if "," in given:
        return object_arguments.split(given)
    return (given,) if operands.is_range else (*names, given)


def _check_names(
    arguments: Arguments,
    names: tuple[str, ...],
    operands: _Operands,
    found: Stanzas,
    line: CommandLine,
) -> None:
    is_named = bool(names or operands.names or arguments.value("o") or line.stdin)
    if arguments.value("t") and not is_named and line.command != "mkdef":
        raise Refused("No object names were provided.", with_usage=True)
    if arguments.has("a"):
        if is_named:
            raise Refused("Cannot use '-a' with '-o', a noderange or file input.")
        if line.command != "rmdef":
            text = f"The '-a' option is not valid for the {line.command} command."
            raise Refused(text, with_usage=True)
        return
    if not names and not found.objects:
        raise Refused("No object names were provided.")


def _check_conditions(order: Order) -> None:
    """A dynamic group can only be about attributes that nodes have."""
    if order.kind_text != "group" or not order.is_dynamic:
        return
    for name in order.conditions:
        if name not in attribute_names("node"):
            raise Refused(
                f"Incorrect attribute '{name}' in the selection string specified with -w flag."
            )


def _with_template(arguments: Arguments, order: Order, line: CommandLine) -> Order:
    template = arguments.value("template")
    if not template:
        return order
    shipped = stanzas.parse(line.read_templates(order.kind_text or "node")).objects
    return replace(order, template=template, template_values=shipped.get(template))


def _check_for_command(
    arguments: Arguments, order: Order, operands: _Operands, line: CommandLine
) -> None:
    match line.command:
        case "mkdef":
            faults = _mkdef_faults(arguments, order, operands)
        case "chdef" if order.new_name:
            faults = _renaming_faults(arguments, operands)
        case "chdef":
            faults = _chdef_faults(arguments, order, operands)
        case _:
            faults = _rmdef_faults(arguments)
    for lines in faults:
        raise Refused(*lines, with_usage=True)


Faults = Sequence[tuple[str, ...]]


def _mkdef_faults(arguments: Arguments, order: Order, operands: _Operands) -> Faults:
    faults = []
    if arguments.has("p") or arguments.has("m"):
        faults.append(("The '-p' and '-m' options are not valid for the mkdef command.",))
    return [*faults, *_input_faults("mkdef", arguments, order, operands)]


def _chdef_faults(arguments: Arguments, order: Order, operands: _Operands) -> Faults:
    faults: list[tuple[str, ...]] = []
    if arguments.has("f"):
        faults.append(("The '-f' option is not valid for the chdef command.",))
    faults += _input_faults("chdef", arguments, order, operands)
    if not faults and order.derives and order.mode is not Mode.REPLACE:
        raise Refused("Cannot use '-u' with '-p' or '-m'.")
    return faults


def _input_faults(
    command: str, arguments: Arguments, order: Order, operands: _Operands
) -> list[tuple[str, ...]]:
    faults: list[tuple[str, ...]] = []
    if order.kind_text and arguments.has("z"):
        faults.append(("Cannot combine '-t' and '-a', '-z', or '-x' options.",))
    if arguments.has("z") and (arguments.value("o") or operands.names):
        example = f"Example of -z usage:\n\t'cat stanzafile | {command} -z'"
        faults.append(("Cannot use '-z' with '-o' or a noderange.", example))
    return faults


def _renaming_faults(arguments: Arguments, operands: _Operands) -> Faults:
    if any(arguments.has(name) for name in "dpmzw"):
        return [("Cannot combine '-n' and '-d','-p','-m','-z','-w' options.",)]
    if operands.count > 1:
        return [("The '-n' option (changing object name) can only work on one object.",)]
    return []


def _rmdef_faults(arguments: Arguments) -> Faults:
    if arguments.has("a") and not arguments.has("f"):
        return [("You must use the '-f' option when using the '-a' option.",)]
    return []
