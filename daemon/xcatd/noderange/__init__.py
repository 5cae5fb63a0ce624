"""Noderanges: from the text a user typed to node names (docs/facts/noderange.md, Grammar).

Pure: everything known about the world comes in a :class:`KnownNames`.  Where this differs from xCAT, on
purpose: names that do not exist are always reported (xCAT forgets some when a file or
``site.excludenodes`` is involved), ``-^file`` subtracts and ``@^file`` intersects, nothing that stands in a file
is repeated, and work, time and memory are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from xcatd import secrets
from xcatd.text import brackets, perlre

from . import ranges, selection

if TYPE_CHECKING:
    from xcatd.db.snapshot import Snapshot


class Effort(NamedTuple):
    """What one noderange may cost.

    Ranges never make more than ``names``, nor names of more than ``size`` bytes in all.  ``text`` characters are read;
    what stands in parentheses counts at every depth.  ``looks`` are taken at nodes: a node counts again for every
    group, selection and expression.
    """

    names: int = 200_000
    size: int = 16 << 20
    text: int = 4 << 20
    looks: int = 5_000_000


MOST = Effort()

#: For those who show no certificate: they ask for a node or two.
LITTLE = Effort(names=2_000, size=256 << 10, text=64 << 10, looks=100_000)

#: What a selection costs for each node, beside a look at a group's member.
_SELECTION = 4

#: So many missed names are kept, and so much of each, in characters.
MOST_MISSED = 20
_MOST_SHOWN = 255

#: Parentheses, groups and ranges in one another never go deeper than this.
DEEPEST = 60


class NoderangeError(ValueError):
    """The text cannot be evaluated at all."""


class UnbalancedParentheses(NoderangeError):
    """An opening parenthesis without its closing one."""

    def __init__(self) -> None:
        super().__init__("Unbalanced parentheses in noderange")


class TooLarge(NoderangeError):
    """More names, work or time, or deeper nesting, than anybody means."""


class NotAllowed(NoderangeError):
    """Whoever asks must not name such nodes, choose by such values, or have such a file read."""


class NoSuchNodes(NoderangeError):
    """A file holds something else than nodes, and names are taken as they are."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """``nodes`` sorted byte by byte, each once; ``missed`` names as they were met.

    At most :data:`MOST_MISSED` of them; one text more says how many others there are.
    """

    nodes: tuple[str, ...]
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownNames:
    """What a noderange is evaluated in.

    ``attribute(node, name)`` gives a node's object attribute and is asked for dynamic groups only; without it
    they have no members.  ``read_file(path)`` gives a file's text, None when it cannot be read; ``with_files``
    False: only for what the database says, not for the noderange itself.  ``prefix`` and ``suffix`` go around plain
    numbers: the daemon's XCAT_NODE_PREFIX and XCAT_NODE_SUFFIX.  ``with_secrets``: nodes may be chosen by passwords
    and the like; ``with_selections``: by anything that tables say of them.
    """

    snapshot: Snapshot
    attribute: Callable[[str, str], str | None] | None = None
    read_file: Callable[[str], str | None] | None = None
    prefix: str = "node"
    suffix: str = ""
    with_files: bool = True
    with_secrets: bool = True
    with_selections: bool = True
    effort: Effort = MOST

    def may_select_by(self, name: str) -> None:
        """Raise NoderangeError where nodes must not be chosen by what ``name`` holds."""
        if not self.with_selections:
            raise NotAllowed(
                f"Permission denied: choosing nodes by {name} needs a policy row without noderange, for"
                " the answer would tell of others' nodes"
            )
        if not self.with_secrets and secrets.is_secret_name(name):
            raise NotAllowed(
                f"Permission denied: choosing nodes by {name} needs a policy row without restrictions"
            )

    @cached_property
    def group_rows(self) -> dict[str, str | None]:
        """Names in nodegroup; with their conditions for dynamic groups, None for others."""
        groups: dict[str, str | None] = {}
        for row in self.snapshot.rows("nodegroup"):
            name = row["groupname"]
            if name:
                dynamic = row["grouptype"] == "dynamic"
                groups[name] = groups.get(name) or ((row["wherevals"] or "") if dynamic else None)
        return groups

    @cached_property
    def _dynamic(self) -> dict[str, tuple[str, ...]]:
        return {}

    def members(self, group: str) -> Sequence[str]:
        """The members of a group: a dynamic one's by its conditions, else the static ones."""
        conditions = self.group_rows.get(group)
        if conditions is None or self.attribute is None:
            return self.snapshot.members.get(group, ())
        if group not in self._dynamic:
            for condition in selection.group_conditions(conditions):
                self.may_select_by(condition.left)
            try:
                found = selection.dynamic_members(conditions, self.snapshot.nodes, self.attribute)
            except perlre.TooCostly as costly:
                raise TooLarge(
                    f"cannot tell the members of group {group}, row {group} of the table nodegroup,"
                    f" column wherevals: {costly}"
                ) from None
            self._dynamic[group] = tuple(found)
        return self._dynamic[group]

    @cached_property
    def excluded(self) -> frozenset[str]:
        """What ``site.excludenodes`` takes out of every noderange."""
        text = self.snapshot.site.get("excludenodes", "")
        if not text:
            return frozenset()
        try:
            nodes = _Evaluation(self, frozenset()).nodes(_unquoted(text), _Mode(verify=True))
        except (TooLarge, perlre.TooCostly) as costly:
            raise TooLarge(
                f"cannot tell which nodes are left out (site.excludenodes): {costly}"
            ) from None
        return frozenset(nodes)


def expand(text: str, world: KnownNames, *, verify: bool = True) -> Expansion:
    """Evaluate a noderange.

    With ``verify``, names that do not exist are missed; without, they are taken as they are, but for those of files.
    Raises UnbalancedParentheses, TooLarge and NoSuchNodes.
    """
    evaluation = _Evaluation(world, world.excluded, with_files=world.with_files)
    try:
        nodes = evaluation.nodes(_unquoted(text), _Mode(verify))
    except perlre.TooCostly as costly:
        raise TooLarge(f"cannot expand the noderange: {costly}") from None
    return Expansion(tuple(sorted(nodes, key=_bytes)), evaluation.missed.names())


def tables_needed(
    text: str, snapshot: Snapshot | None = None, world: KnownNames | None = None
) -> set[str]:
    """The tables to read before ``text`` can be expanded.

    A first look knows the text only; with the snapshot read then, the result also covers
    ``site.excludenodes``, and with ``world`` the files the text names.  What dynamic groups need, their
    ``attribute`` function knows.
    """
    texts = [text]
    if snapshot is not None:
        texts.append(snapshot.site.get("excludenodes", ""))
    if world is not None and world.read_file is not None:
        wanted = [text] if world.with_files else []
        paths = [path for one in (*wanted, *texts[1:]) for path in _files(one)]
        texts += [world.read_file(path) or "" for path in paths]
    return {"nodelist", "nodegroup", "site"}.union(*map(selection.tables_in, texts))


def dynamic_attributes(snapshot: Snapshot) -> set[str]:
    """Names of the object attributes that any dynamic group asks for."""
    wherevals = KnownNames(snapshot).group_rows.values()
    return {
        condition.left
        for text in wherevals
        if text
        for condition in selection.group_conditions(text)
    }


def _files(text: str) -> Iterator[str]:
    for term in _unquoted(text).replace("(", ",").replace(")", ",").split(","):
        name = term.lstrip("-@")
        if name.startswith("^"):
            yield name[1:]


def _unquoted(text: str) -> str:
    return text.replace("'", "").replace('"', "")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


class _Mode(NamedTuple):
    """``verify``: names must exist.  ``generic``: text only, no node, group or attribute is looked up."""

    verify: bool
    generic: bool = False


class _Missed:
    """Names that are no nodes: the first ones, and how many there are."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self.count = 0

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._first) < MOST_MISSED:
            is_long = len(name) > _MOST_SHOWN
            self._first.append(name[:_MOST_SHOWN] + "..." if is_long else name)

    def names(self) -> tuple[str, ...]:
        more = self.count - len(self._first)
        return (*self._first, f"and {more} more") if more else tuple(self._first)


@dataclass(slots=True)
class _Evaluation:
    """One evaluation: the missed names so far, and how much was generated, read and looked at."""

    world: KnownNames
    excluded: frozenset[str]
    with_files: bool = True
    missed: _Missed = field(default_factory=_Missed)
    _made: int = 0
    _bytes: int = 0
    _read: int = 0
    _looks: int = 0
    _depth: int = 0

    def nodes(self, text: str, mode: _Mode) -> set[str]:
        """The nodes of a noderange or a part of it."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooLarge("cannot expand the noderange: it is nested too deeply")
        self._read += len(text)
        if self._read > self.world.effort.text:
            raise TooLarge("cannot expand the noderange: there is too much to read")
        nodes: set[str] = set()
        if "(" in text:
            nodes, text = self._parenthesised(text, mode)
        nodes = self._terms(nodes, text, mode) - self.excluded
        self._depth -= 1
        return nodes

    def _look_at(self, count: int) -> None:
        self._looks += count
        if self._looks > self.world.effort.looks:
            raise TooLarge(
                "cannot expand the noderange: too many nodes are named again and again in it"
            )

    def _parenthesised(self, text: str, mode: _Mode) -> tuple[set[str], str]:
        """What stands before and in the first parentheses, put together, and the text after them."""
        place = brackets.first_parenthesised(text)
        if place is None:
            raise UnbalancedParentheses
        before, inside, after = (
            text[: place[0]],
            text[place[0] + 1 : place[1] - 1],
            text[place[1] :],
        )
        operator = before[-1:]
        before = before.removesuffix(",-").removesuffix(",").removesuffix("@")
        left = self.nodes(before, mode)
        right = self.nodes(inside, mode)
        match operator:
            case "-":
                return left - right, after
            case "@":
                return left & right, after
            case _:
                return left | right, after

    def _terms(self, nodes: set[str], text: str, mode: _Mode) -> set[str]:
        """Terms from left to right on top of ``nodes``; exclusions count at the very end."""
        removed: set[str] = set()
        for operator, atom in _operations(text):
            found = self._from_file(atom, mode) if atom[0] == "^" else self._atom(atom, mode)
            match operator:
                case "@":
                    nodes.intersection_update(found)
                case "-":
                    removed.update(found)
                case _:
                    nodes.update(found)
        return nodes - removed

    def _from_file(self, atom: str, mode: _Mode) -> Iterable[str]:
        """The nodes that a file's lines name, each a noderange of its own.  What stands there is not repeated.

        A file that must not be read is an error: as an empty one it would exclude nobody.
        """
        if not self.with_files:
            raise NotAllowed(f"cannot read {atom[1:]}: files are read for known users only")
        read = self.world.read_file
        text = read(atom[1:]) if read is not None else None
        nodes: set[str] = set()
        for number, line in enumerate((text or "").split("\n"), 1):
            if line.startswith(("#", "^")):
                continue
            self._count_name(line)
            where = f"line {number} of {atom[1:]}"
            try:
                found = self._from_line(_unquoted(_first_word(line)))
            except perlre.TooCostly:
                raise TooLarge(f"{where}: its expression takes too long") from None
            if found is not None:
                nodes |= found
            elif mode.verify:
                self.missed.add(f"{where} is no node")
            else:
                raise NoSuchNodes(f"{where} is no node")
        return nodes

    def _from_line(self, text: str) -> set[str] | None:
        """The nodes that a line names; None where something in it is no node."""
        missed, self.missed = self.missed, _Missed()
        try:
            nodes = self.nodes(text, _Mode(verify=True))
            is_right = not self.missed.count
        except UnbalancedParentheses:
            return None
        finally:
            self.missed = missed
        return nodes if is_right else None

    def _atom(self, atom: str, mode: _Mode) -> Iterable[str]:
        """One atom; the first of the kinds that applies, in this order."""
        if not mode.generic and self.world.snapshot.has_node(atom):
            return (atom,)
        if len(atom) > 1 and atom[0] == "(" and atom[-1] == ")":
            return self.nodes(atom[1:-1], mode)
        if "@" in atom and len(_split(atom)) > 1:
            return self.nodes(atom, mode)
        try:
            return self._looked_up(atom, mode)
        except perlre.TooCostly:
            raise
        except perlre.BadPattern:
            self.missed.add(atom)
            return ()

    def _looked_up(self, atom: str, mode: _Mode) -> Iterable[str]:
        members: Sequence[str] = ()
        if not mode.generic:
            members = self.world.members(atom)
            self._look_at(len(members))
            if not members and atom in self.world.group_rows:
                return ()
        if "=" in atom or "~" in atom:
            self.world.may_select_by(selection.left_side(atom))
            self._look_at(_SELECTION * len(self.world.snapshot.nodes))
            return selection.select(atom, self.world.snapshot)
        if atom.isdecimal() and atom.isascii():
            return self._again((self.world.prefix + atom + self.world.suffix,), mode)
        return members or self._generated(atom, mode)

    def _generated(self, atom: str, mode: _Mode) -> Iterable[str]:
        names: Iterable[str] | None = None
        if atom.startswith("/"):
            if mode.verify and not mode.generic:
                return self._matching(atom[1:])
        elif (bracket := ranges.first_bracket(atom)) is not None:
            return self._bracket(*bracket, mode)
        elif "+" in atom:
            names = ranges.plus_names(atom, self.world.prefix, self.world.suffix)
        elif "-" in atom or ":" in atom:
            names = self._range(atom)
        if names is not None:
            return self._again(names, mode)
        if not mode.verify and not ranges.is_too_long(atom):
            return (atom,)
        self.missed.add(atom)
        return ()

    def _range(self, atom: str) -> Iterable[str] | None:
        sides = ranges.split_sides(atom)
        if sides is None:
            return None
        left, right = sides
        return (left,) if left == right else ranges.names_between(left, right)

    def _matching(self, pattern: str) -> Iterable[str]:
        self._look_at(len(self.world.snapshot.nodes))
        matches = perlre.compile_pattern(f"^{pattern}$").search
        return [node for node in self.world.snapshot.nodes if matches(node)]

    def _bracket(self, names: Iterable[str], ending: str, mode: _Mode) -> Iterable[str]:
        if not ending:
            return self._again(names, mode)
        fronts = self._again(names, _Mode(verify=False, generic=True))
        return self._again((front + ending for front in fronts), mode)

    def _again(self, names: Iterable[str], mode: _Mode) -> list[str]:
        """Names made from an atom are atoms themselves: nodes, groups, or missed one by one."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooLarge("cannot expand the noderange: it is nested too deeply")
        nodes: list[str] = []
        for name in names:
            self._count_name(name)
            nodes.extend(self._atom(name, mode))
        self._depth -= 1
        return nodes

    def _count_name(self, name: str) -> None:
        self._made += 1
        self._bytes += len(name) if name.isascii() else len(_bytes(name))
        most = self.world.effort
        if self._made > most.names:
            raise TooLarge(
                f"cannot expand the noderange: its ranges make more than {most.names} names"
            )
        if self._bytes > most.size:
            raise TooLarge(
                f"cannot expand the noderange: its ranges make names of more than {most.size >> 10} KB"
            )


def _split(text: str) -> list[str]:
    """Terms and separators in turn: at commas, or at ``@`` where there is no comma."""
    pieces = brackets.separated(text, ",", ("[]", "()"))
    return pieces if len(pieces) > 1 else brackets.separated(text, "@", ("()",))


def _operations(text: str) -> Iterator[tuple[str, str]]:
    """Operators and atoms of a term list; an operator without an atom waits for the next one."""
    operator = ""
    for piece in _split(text):
        atom = piece
        if atom == ",":
            continue
        if atom.startswith("-"):
            atom = atom[1:]
            operator = operator or "-"
        elif atom.startswith("@"):
            atom = atom[1:]
            operator = "@"
        if atom:
            yield operator, atom
            operator = ""


def _first_word(line: str) -> str:
    """A line's text up to the first blank, tab or colon."""
    for sign in " \t:":
        line = line.partition(sign)[0]
    return line
