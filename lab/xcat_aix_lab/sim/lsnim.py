"""``lsnim``: all forms of docs/facts/nim.md, lsnim."""

from __future__ import annotations

from . import catalogue, flags, messages, objects
from .objects import RESOURCES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .objects import SimulatedDatabase, SimulatedObject
    from .world import World

_SPEC = "loOZFgmpPc:t:s:a:q:A:L"
#: Of these attributes `-Z` prints every word as its own field.
_SPLIT = ("if", "routing")


class _Request:
    """The command line, taken apart."""

    def __init__(self, args: list[str]) -> None:
        options, self.names = flags.parse("lsnim", args, _SPEC)
        self.flags = {letter for letter, _ in options}
        self.values = dict(options)
        self.wanted = [value for letter, value in options if letter == "a"]

    def filter(self, letter: str) -> str | None:
        return self.values.get(letter)


def lsnim(args: list[str], world: World) -> str:
    """Answer a query about the own NIM database."""
    return answer(args, world.nim("lsnim"), drops_empty=world.quirk("z_drops_empty"))


def answer(args: list[str], database: SimulatedDatabase, *, drops_empty: bool) -> str:
    """Standard output of ``lsnim args``; a missing object still prints the others (rc 53)."""
    request = _Request(args)
    if "A" in request.flags:
        return _next_index(request, database)
    if "q" in request.flags:
        return _query(request, database)
    if request.flags & {"p", "P", "O"}:
        return _predefined(request, database)
    if "L" in request.flags:
        return _usable(request, database)
    found, missing = _chosen(request, database)
    stdout = _printed(request, found, database, drops_empty=drops_empty)
    if missing:
        lines = "".join(messages.no_object("lsnim", name).line() for name in missing)
        raise messages.CommandError(messages.exit_code(messages.NOT_FOUND), lines, stdout)
    return stdout


def _chosen(
    request: _Request, database: SimulatedDatabase
) -> tuple[list[SimulatedObject], list[str]]:
    if not request.names:
        return _filtered(request, list(database), database), []
    missing = [name for name in request.names if name not in database.objects]
    named = [database.objects[name] for name in request.names if name in database.objects]
    if request.filter("c") or request.filter("t") or request.filter("s"):
        related = [other for obj in named for other in _related(obj, database)]
        return _filtered(request, related, database), missing
    return named, missing


def _related(obj: SimulatedObject, database: SimulatedDatabase) -> list[SimulatedObject]:
    """What is allocated to a machine; who uses a resource; who is on a network."""
    if obj.cls == RESOURCES:
        return database.users(obj.name)
    if obj.cls == objects.NETWORKS:
        return [
            machine
            for machine in database.of_class(objects.MACHINES)
            if machine.attributes.get("if1", "").partition(" ")[0] == obj.name
        ]
    return [database.get(name) for _, name in sorted(obj.allocations)]


def _filtered(
    request: _Request, candidates: list[SimulatedObject], database: SimulatedDatabase
) -> list[SimulatedObject]:
    cls, type_, subclass = (request.filter(letter) for letter in "cts")
    if cls is not None and cls not in catalogue.CLASSES:
        raise _bad(f'"{cls}" is not a valid object class')
    if type_ is not None and catalogue.class_of(type_) is None:
        raise _bad(f'"{type_}" is not a valid object type')
    if subclass is not None and subclass not in catalogue.SUBCLASSES:
        raise _bad(f'"{subclass}" is not a valid subclass')
    chosen = [
        obj
        for obj in candidates
        if cls in (None, obj.cls)
        and type_ in (None, obj.type)
        and (subclass is None or obj.type in catalogue.SUBCLASSES[subclass])
    ]
    if request.wanted and not request.names:
        counts = objects.allocation_counts(database)
        wanted = set(request.wanted)
        chosen = [o for o in chosen if wanted & {n for n, _ in objects.stanza(o, database, counts)}]
    return chosen


def _bad(text: str) -> messages.NimError:
    return messages.NimError(messages.BAD_VALUE, "lsnim", text)


def _printed(
    request: _Request,
    found: list[SimulatedObject],
    database: SimulatedDatabase,
    *,
    drops_empty: bool,
) -> str:
    counts = objects.allocation_counts(database)
    stanzas = [(obj, objects.stanza(obj, database, counts)) for obj in found]
    if "Z" in request.flags:
        if "l" in request.flags:
            return "".join(_keyed([(obj, p)], [n for n, _ in p], drops_empty) for obj, p in stanzas)
        return _keyed(stanzas, request.wanted or ["class", "type"], drops_empty)
    if "l" in request.flags:
        return "".join(_stanza(obj.name, pairs) for obj, pairs in stanzas)
    if request.wanted:
        wanted = set(request.wanted)
        cut = [(obj.name, [pair for pair in pairs if pair[0] in wanted]) for obj, pairs in stanzas]
        return "".join(_stanza(name, pairs) for name, pairs in cut)
    if request.names and request.filter("c") == RESOURCES:
        return "".join(f"{obj.name:<22} {obj.type}\n" for obj in found)
    return "".join(f"{obj.name:<22} {obj.cls:<14} {obj.type}\n" for obj in found)


def _stanza(name: str, pairs: list[tuple[str, str]]) -> str:
    width = max([14, *(len(attribute) for attribute, _ in pairs)])
    lines = [f"   {attribute:<{width}} = {value}\n" for attribute, value in pairs]
    return f"{name}:\n" + "".join(lines)


def _keyed(
    stanzas: list[tuple[SimulatedObject, list[tuple[str, str]]]],
    wanted: list[str],
    drops_empty: bool,
) -> str:
    rows = []
    for obj, pairs in stanzas:
        values = _fields(pairs, wanted, drops_empty)
        if values:
            rows.append(f"{obj.name}:{':'.join(values)}:\n")
    if not rows:
        return ""
    return f"#name:{':'.join(wanted)}:\n" + "".join(rows)


def _fields(pairs: list[tuple[str, str]], wanted: list[str], drops_empty: bool) -> list[str]:
    values = dict(reversed(pairs))
    present = [name for name in wanted if values.get(name)]
    if not present:
        return []
    fields = []
    for name in wanted:
        value = values.get(name, "")
        if value or not drops_empty:
            split = name.rstrip("0123456789") in _SPLIT
            fields.append(value.replace(" ", ":") if split else value)
    return fields


def _next_index(request: _Request, database: SimulatedDatabase) -> str:
    """``lsnim -A if master``: the next free number of a sequenced attribute."""
    attribute = request.values["A"]
    if not request.names:
        raise flags.usage("lsnim", "-A needs an object")
    taken = database.get(request.names[0], "lsnim").attributes
    index = 1
    while f"{attribute}{index}" in taken:
        index += 1
    return f"{index}\n"


def _query(request: _Request, database: SimulatedDatabase) -> str:
    operation = request.values["q"]
    if operation not in catalogue.OPERATIONS:
        raise _bad(f'"{operation}" is not a valid operation')
    for name in request.names:
        database.get(name, "lsnim")
    _, required, optional = catalogue.OPERATIONS[operation]
    text = ""
    for word, names in (("required", required), ("optional", optional)):
        if names:
            lines = "".join(f"\t-a {name}=<value>\n" for name in names)
            text += f"\nthe following attributes are {word}:\n{lines}"
    return text


def _predefined(request: _Request, database: SimulatedDatabase) -> str:
    """``-p``: names; ``-P``, ``-O``: names with descriptions."""
    if "O" in request.flags:
        types = [request.values["t"]] if "t" in request.flags else []
        types += [database.get(name, "lsnim").type for name in request.names]
        return "".join(_operations(type_) for type_ in types)
    if "t" in request.flags:
        table = {request.values["t"]: ""}
    elif "c" in request.flags:
        cls = request.values["c"]
        if cls not in catalogue.CLASSES:
            raise _bad(f'"{cls}" is not a valid object class')
        table = catalogue.TYPES.get(cls, {})
    elif "s" in request.flags:
        table = dict.fromkeys(catalogue.SUBCLASSES, "subclass of resources")
    else:
        table = catalogue.CLASSES
    if "p" in request.flags:
        return "".join(f"{name}\n" for name in table)
    return _described(table)


def _operations(type_: str) -> str:
    names = catalogue.APPLICABLE.get(type_, catalogue.OTHER_APPLICABLE)
    table = {name: catalogue.OPERATIONS[name][0] for name in names}
    return f"{type_}:\n" + "".join(f"   {line}\n" for line in _described(table).splitlines())


def _described(table: dict[str, str]) -> str:
    width = max([14, *(len(name) for name in table)])
    return "".join(f"{name:<{width}} = {text}\n" for name, text in table.items())


def _usable(request: _Request, database: SimulatedDatabase) -> str:
    """``-L``: the resources that a machine could use."""
    if not request.names:
        raise flags.usage("lsnim", "-L needs an object")
    machine = database.get(request.names[0], "lsnim")
    types = catalogue.ALLOCATABLE.get(machine.type, ())
    usable = [
        obj
        for obj in database.of_class(RESOURCES)
        if obj.type in types and request.filter("t") in (None, obj.type)
    ]
    return "".join(f"{obj.name:<22} {obj.type}\n" for obj in usable)
