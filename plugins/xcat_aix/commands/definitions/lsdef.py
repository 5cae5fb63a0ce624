"""``lsdef``: show the definitions of nodes, groups, osimages and every other type of object.

Owns the order of the command: one read of the tables the question needs, the choice of objects, replies in
pieces of bounded size.  The arguments are :mod:`.lsdef_arguments`, the lines :mod:`.lsdef_text`.
Facts: docs/facts/object-commands.md, Arguments; lsdef.

Where this differs from xCAT, on purpose: names are compared, never matched as expressions; an object that exists
in two types is listed in both; ``-a`` and ``--osimage`` have a fixed order; a monitoring setting that
two plug-ins share is shown once; a bad expression is an error, not a crash, and an empty one matches everything;
``--osimage`` does not search the file system for templates and lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from xcatd.api import (
    EVERYTHING,
    NOTHING,
    Context,
    Reply,
    Request,
    Targets,
    error,
    info,
    secrets,
    warning,
)
from xcatd.noderange import selection
from xcatd.objects import conditions, descriptions, mapping
from xcatd.objects.reader import ObjectReader, Places, Values
from xcatd.text import perlre

from . import (
    lsdef_arguments,
    lsdef_osimage,
    lsdef_text,
    object_arguments,
    object_help,
    shipped_templates,
    stanzas,
)
from .lsdef_arguments import HelpQuestion, LsdefQuestion, UsageQuestion, VersionQuestion
from .lsdef_text import Shown
from .object_arguments import Refused

#: Objects per reply: small enough to stream, large enough not to cost.
OBJECTS_PER_REPLY = 200

#: The pseudo node whose scripts run on every node before its own.
_DEFAULTS = "xcatdefaults"
_SCRIPT_ATTRIBUTES = ("postscripts", "postbootscripts")


class Lsdef:
    """The plugin."""

    commands = ("lsdef",)

    def targets(self, request: Request, context: Context) -> Targets:
        """The nodes that are asked for by name; anything else is of the whole cluster."""
        try:
            question = _question(request, context)
        except Refused:
            return NOTHING
        if not isinstance(question, LsdefQuestion):
            return NOTHING
        if question.types != ("node",) or question.names is None:
            return EVERYTHING
        return Targets.of(question.names)

    def needs_everything(self, request: Request) -> bool:
        """Whether it chooses objects by a secret."""
        return object_arguments.selects_secrets(request.words)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        """List objects, or explain types."""
        try:
            question = _question(request, context)
        except Refused as refused:
            yield error(str(refused))
            if refused.with_usage:
                yield info(*descriptions.lsdef_usage())
            return
        match question:
            case UsageQuestion():
                yield info(*descriptions.lsdef_usage())
            case VersionQuestion():
                yield info(f"lsdef - {context.version}")
            case HelpQuestion():
                yield from object_help.replies(question)
            case LsdefQuestion():
                templates = _templates(question, context)
                for name in question.templates or ():
                    if templates and name not in templates:
                        yield error(f"Could not find {name} in xCAT templates.")
                        return
                yield from _Listing(question, context, templates).replies()


def _question(request: Request, context: Context) -> lsdef_arguments.AnyQuestion:
    def expand(text: str, verify: bool) -> tuple[str, ...]:
        try:
            return context.expand(text, verify=verify).nodes
        except ValueError as bad:  # unbalanced, or larger than anybody means
            raise Refused(str(bad)) from None

    return lsdef_arguments.parse(request.words, expand)


@dataclass(slots=True)
class _Pieces:
    """Information lines on their way out, and whether any object was considered or shown."""

    lines: list[str] = field(default_factory=list)
    objects: int = 0
    seen: int = 0
    has_said: bool = False

    def take(self) -> Iterator[Reply]:
        if self.lines:
            self.has_said = True
            yield info(*self.lines)
            self.lines = []
            self.objects = 0


class _Listing:
    """The answer to one question."""

    def __init__(
        self, question: LsdefQuestion, context: Context, templates: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._question = question
        self._templates = templates if question.names is None else {}
        self._left_out = mapping.LOG_TYPES if question.is_all else frozenset[str]()
        self._broken: list[str] = []
        snapshot = context.db.read(_tables(question, self._left_out))
        self._snapshot = snapshot.with_gaps(self._broken)
        self._reader = ObjectReader(self._snapshot)
        self._context = context
        self._places: dict[str, Places] = {}

    def replies(self) -> Iterator[Reply]:
        """What there is to show, then what could not be told."""
        try:
            yield from self._shown()
        except perlre.TooCostly as costly:  # a condition, or an adapter's value
            yield error(str(costly))
        yield from map(error, self._broken)

    def _shown(self) -> Iterator[Reply]:
        question = self._question
        names = {kind: self._names(kind) for kind in question.types}
        found = {kind: self._objects(kind, kind_names) for kind, kind_names in names.items()}
        if not any(found.values()) and question.templates is not None:
            yield info("Could not find any objects to display.")
            return
        if not any(found.values()):
            yield from self._nothing(is_none_named=not any(names.values()))
            return
        pieces = _Pieces([lsdef_text.STANZA_HEADER] if question.is_stanza else [])
        for kind in question.types:
            yield from self._kind(kind, found[kind], pieces)
            if self._context.cancelled.is_set():
                return
        yield from pieces.take()
        if not pieces.has_said and pieces.seen:
            yield info("No object definitions have been found")

    def _nothing(self, *, is_none_named: bool) -> Iterator[Reply]:
        """No object is readable: there is none, or it is of a type of which nothing can be."""
        types = self._question.types
        if self._question.needs_values and all(map(mapping.can_vanish, types)):
            yield error("Could not get xCAT object definitions.")
        elif is_none_named:
            yield info("Could not find any object definitions to display.")

    def _names(self, kind: str) -> tuple[str, ...]:
        if kind in self._left_out:
            return ()
        if self._question.templates is not None and self._question.names is None:
            return self._template_names(kind)
        if self._question.names is None:
            return self._reader.names(kind)
        # Names given by the user are of the first type, whatever other types there are.
        return self._question.names if kind == self._question.types[0] else ()

    def _template_names(self, kind: str) -> tuple[str, ...]:
        wanted = self._question.templates or self._templates
        return tuple(
            name
            for name, values in self._templates.items()
            if name in wanted and values.get(stanzas.TYPE) == kind
        )

    def _objects(self, kind: str, names: Iterable[str]) -> dict[str, Values]:
        if self._templates:
            return self._template_objects(kind, names)
        if not self._question.needs_values:
            return {name: {} for name in names}
        wanted = self._question.attributes if kind == "node" else None
        places = self._places.setdefault(kind, {}) if self._question.with_places else None
        found = self._reader.read(kind, names, wanted, places=places)
        if kind == "node" and not self._question.is_stanza:
            self._add_default_scripts(found)
        return found

    def _template_objects(self, kind: str, names: Iterable[str]) -> dict[str, Values]:
        found = {
            name: {
                attribute: text
                for attribute, text in self._templates[name].items()
                if text and attribute != stanzas.TYPE
            }
            for name in names
        }
        if kind == "node" and not self._question.is_stanza:
            self._add_default_scripts(found)
        return found

    def _add_default_scripts(self, found: dict[str, Values]) -> None:
        for attribute, scripts in self._default_scripts().items():
            for values in found.values():
                own = values.get(attribute)
                values[attribute] = scripts if own is None else f"{scripts},{own}"

    def _default_scripts(self) -> dict[str, str]:
        rows = self._snapshot.rows("postscripts")
        row = next(
            (r for r in rows if r["node"] == _DEFAULTS and r["disable"] in {None, "", "0"}), None
        )
        return {
            name: text for name in _SCRIPT_ATTRIBUTES if row is not None and (text := row[name])
        }

    def _kind(self, kind: str, found: dict[str, Values], pieces: _Pieces) -> Iterator[Reply]:
        if kind == "node" and not self._question.with_hidden:
            found = self._without_hidden(found)
        images = self._images(kind, found)
        yield from _complaints(images)
        yield from self._unknown_attributes(kind)
        existing = frozenset(self._reader.names(kind)) if self._question.is_checked else None
        tested = self._tested(kind, found)
        for name in sorted(found):
            pieces.seen += 1
            if not self._is_wanted(tested.get(name, {}), kind):
                continue
            if existing is not None and name not in existing:
                yield error(f"Could not find an object named '{name}' of type '{kind}'.")
                continue
            yield from self._add(kind, name, found[name], images, pieces)

    def _without_hidden(self, found: dict[str, Values]) -> dict[str, Values]:
        hidden = self._snapshot.values("nodelist", ("hidden",), found)
        return {
            name: values
            for name, values in found.items()
            if not (value := hidden[name].get("hidden")) or value.text != "1"
        }

    def _images(self, kind: str, found: Mapping[str, Values]) -> lsdef_osimage.Images | None:
        if kind != "node" or not self._question.with_osimage:
            return None
        installdir = self._snapshot.site.get("installdir", "/install")
        return lsdef_osimage.find(self._reader, found, installdir)

    def _unknown_attributes(self, kind: str) -> Iterator[Reply]:
        if self._question.wanted is None or kind in mapping.FREE_TYPES:
            return
        known = set(mapping.TYPES[kind].attributes)
        for name in self._question.wanted.names:
            if name not in known:
                yield error(
                    f"'{name}' is not a valid attribute name for an object type of '{kind}'."
                )

    def _tested(self, kind: str, found: dict[str, Values]) -> Mapping[str, Values]:
        """What conditions are about: of types without inheritance, empty attributes of a stored row as well."""
        wanted = set(self._question.conditions) & set(mapping.TYPES[kind].attributes)
        if self._templates or kind == "node" or kind in mapping.FREE_TYPES or not wanted:
            return found
        return self._reader.read(kind, found, wanted, with_empty=True)

    def _is_wanted(self, values: Values, kind: str) -> bool:
        tests = self._question.conditions
        return not tests or conditions.match_all(tests, {**values, "objtype": kind})

    def _add(
        self,
        kind: str,
        name: str,
        values: Values,
        images: lsdef_osimage.Images | None,
        pieces: _Pieces,
    ) -> Iterator[Reply]:
        if not self._question.shows_details:
            pieces.lines.append(lsdef_text.name_line(self._question, name, kind))
        else:
            members: tuple[str, ...] = ()
            if kind == "group" and self._shows_members():
                members, complaints = self._members(name, values)
                yield from complaints
            image = images.by_node.get(name) if images else None
            places = self._places.get(kind, {}).get(name, {})
            shown = Shown(name, kind, values, members, image, places)
            pieces.lines += lsdef_text.details(self._question, shown)
        pieces.objects += 1
        if pieces.objects >= OBJECTS_PER_REPLY:
            yield from pieces.take()

    def _shows_members(self) -> bool:
        wanted = self._question.wanted
        return wanted is None or mapping.MEMBERS in wanted.names

    def _members(self, group: str, values: Values) -> tuple[tuple[str, ...], list[Reply]]:
        kind, where = values.get("grouptype"), values.get("wherevals", "")
        complaints = []
        if kind == "dynamic" and self._is_by_secret(where):
            text = f"Permission denied: the members of group {group} are chosen by a secret"
            return (), [error(text)]
        if kind == "dynamic" and not _are_conditions(where):
            complaints.append(error("The '-w' option has an incorrect attr*val pair."))
        try:
            return self._reader.members(group, kind, where), complaints
        except perlre.BadPattern as bad:
            return (), [error(f"cannot list the members of group {group}: {bad}")]

    def _is_by_secret(self, where: str) -> bool:
        """Whether who is a member would tell a secret to somebody who must not know it."""
        names = (condition.left for condition in selection.group_conditions(where))
        return not self._context.rights.is_unrestricted and secrets.any_selected(names)


def _templates(question: LsdefQuestion, context: Context) -> Mapping[str, Mapping[str, str]]:
    """The templates that come with xCAT for the types asked for, by name."""
    if question.templates is None:
        return {}
    texts = [shipped_templates.read(context.environ, kind) for kind in question.types]
    return stanzas.parse("\n".join(texts)).objects


def _are_conditions(where: str) -> bool:
    parts = where.split("::")
    while parts and not parts[-1]:
        parts.pop()
    try:
        conditions.parse(parts)
    except conditions.BadCondition:
        return False
    except perlre.BadPattern:
        return True  # said when the members are looked for
    return True


def _tables(question: LsdefQuestion, left_out: frozenset[str]) -> frozenset[str]:
    kinds = [kind for kind in question.types if kind not in left_out]
    if not question.needs_values:
        names = {table for kind in kinds for table in mapping.name_tables(kind)}
        templates = set() if question.templates is None else {"postscripts"}
        return frozenset(names | {"nodelist"} | templates)
    wanted = question.attributes if question.types == ("node",) else None
    needed = mapping.tables(kinds, wanted)
    if "node" in question.types:
        needed |= {"postscripts"}
        if question.with_osimage:
            needed |= mapping.tables(("osimage",))
    return needed


def _complaints(images: lsdef_osimage.Images | None) -> Iterator[Reply]:
    if images is not None:
        if images.errors:
            yield error(*images.errors)
        if images.warnings:
            yield warning(*images.warnings)
