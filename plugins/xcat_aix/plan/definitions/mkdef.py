"""The plan of mkdef: which objects are made, which are refused and why.

Pure.  Facts: docs/facts/object-commands.md, mkdef.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xcat_aix.plan.writing import Planned, error, info, warning
from xcatd.objects import mapping, object_names
from xcatd.objects.reader import Values
from xcatd.tablenames import Snapshot

from . import groups, networks, osimages, templates
from .gathering import TYPE, Gathered
from .objects import Definition, DefinitionWriter, Mode
from .orders import ExpandMembers, Order

FAILED = "One or more errors occured when attempting to create or modify xCAT object definitions."


def plan(
    order: Order,
    snapshot: Snapshot,
    expand: ExpandMembers,
    world: osimages.ImageSources | None = None,
) -> Planned:
    """What to write and to say; ``snapshot`` has the tables :func:`tables_needed` names.

    ``world`` is there if attributes of osimages are derived (``-u``).
    """
    planned = Planned()
    try:
        order = templates.apply(order, snapshot)
    except templates.TemplateFault as fault:
        planned.remarks.append(error(str(fault)))
        return planned
    if not _are_names_good(order, planned):
        return planned
    writer = DefinitionWriter(snapshot, planned.draft, planned.remarks)
    gathered = Gathered(order, writer)
    if gathered.is_faulty:
        return planned
    if not gathered.definitions:
        planned.remarks.append(error(_nothing(order, gathered)))
        return planned
    _Creation(order, writer, expand, planned, world).make(gathered)
    return planned


def _nothing(order: Order, gathered: Gathered) -> str:
    text = "No object definitions have been created or modified: no attributes were specified."
    is_about_nodes = "node" in gathered.kinds() or "node" in order.kind_text.split(",")
    more = " The 'groups' attribute is required when creating node definitions."
    return text + more if is_about_nodes else text


def _are_names_good(order: Order, planned: Planned) -> bool:
    invalid, capitals, dotted = [], [], []
    for name, kind in _kinds_of_names(order):
        if not object_names.is_valid(kind, name):
            invalid.append(name)
        if kind == "node" and name != name.lower():
            capitals.append(name)
        elif kind == "node" and "." in name:
            dotted.append(name)
    if dotted:
        planned.remarks.append(error(dotted_name(dotted)))
    elif invalid:
        planned.remarks.append(error(invalid_name(invalid)))
    elif capitals:
        planned.remarks.append(warning(capital_name(capitals)))
    return not (dotted or invalid)


def _kinds_of_names(order: Order) -> Iterator[tuple[str, str]]:
    for name in order.names:
        yield name, order.kind_text or "node"
    for name, stanza in order.stanzas.items():
        yield name, order.kind_text or stanza.get(TYPE) or "node"


def dotted_name(names: list[str]) -> str:
    """What to tell about nodes whose names look like host names with a domain."""
    return f"The object name '{','.join(names)}' is invalid, Cannot use '.' in node name."


def invalid_name(names: list[str]) -> str:
    """What to tell about names no object may have."""
    return (
        f"The object name '{','.join(names)}' is invalid, please refer to \"man xcatdb\" "
        'for the valid "xCAT Object Name Format"'
    )


def capital_name(names: list[str]) -> str:
    """What to tell about nodes that name servers may not find."""
    return (
        f"The node name '{','.join(names)}' contains capital letters which may not be resolved "
        "correctly by the dns server."
    )


class _Creation:
    """Goes through the objects one by one, then writes those that are left."""

    def __init__(
        self,
        order: Order,
        writer: DefinitionWriter,
        expand: ExpandMembers,
        planned: Planned,
        world: osimages.ImageSources | None,
    ) -> None:
        self._world = world
        self._order = order
        self._writer = writer
        self._expand = expand
        self._planned = planned
        self._has_failed = False
        self._networks: dict[str, Values] = {}

    def make(self, gathered: Gathered) -> None:
        known = {kind: set(self._writer.reader.names(kind)) for kind in gathered.kinds()}
        if "network" in known:
            self._networks = networks.stored(self._writer.snapshot)
        accepted: dict[str, Definition] = {}
        replaced: dict[str, list[str]] = {}
        for name, definition in gathered.definitions.items():
            exists = name in known[definition.kind]
            if not self._is_good(name, definition, exists=exists):
                continue
            accepted[name] = definition
            if exists:
                replaced.setdefault(definition.kind, []).append(name)
        for kind, names in replaced.items():
            self._writer.remove(kind, names)
        for name, definition in accepted.items():
            if definition.kind == "group":
                accepted[name] = self._with_members(name, definition)
            elif definition.kind == "osimage" and self._world is not None:
                accepted[name] = self._derived(definition, self._world)
        outcome = self._writer.write(accepted, Mode.REPLACE)
        self._say_results(outcome.updated, has_failed=self._has_failed or outcome.is_refused)

    def _fail(self, *lines: str) -> bool:
        self._planned.remarks.append(error(*lines))
        self._has_failed = True
        return False

    def _is_good(self, name: str, definition: Definition, *, exists: bool) -> bool:
        kind, attributes = definition.kind, definition.attributes
        if kind == "network":
            if exists:
                return self._fail(
                    f"A network definition called '{name}' already exists. "
                    f"Cannot create a definition for '{name}'."
                )
            if fault := networks.fault_of_new(name, attributes, self._networks):
                return self._fail(fault)
            self._networks[name] = dict(attributes)
        if exists and not self._order.is_forced:
            text = (
                f"A definition for '{name}' already exists. No changes will be made.  "
                "Run again with '-f' option to force replace."
            )
            self._planned.remarks.append(warning(text))
            return False
        if kind == "osimage" and (fault := osimages.fault_of_options(attributes)):
            return self._fail(fault)
        if kind == "node" and not attributes.get("groups"):
            return self._fail(groups_missing(name))
        if kind == "group" and (fault_lines := self._fault_of_group(name, attributes)):
            return self._fail(*fault_lines)
        failures = self._writer.failures(definition)
        for text in failures:
            self._fail(text)
        return not failures

    def _derived(self, definition: Definition, world: osimages.ImageSources) -> Definition:
        attributes = dict(definition.attributes)
        installdir = self._writer.snapshot.site.get("installdir") or osimages.INSTALLDIR
        try:
            osimages.derive(attributes, world, installdir, is_change=False)
        except osimages.Underivable as fault:
            self._fail(str(fault))
        return Definition("osimage", attributes)

    def _fault_of_group(self, name: str, attributes: Mapping[str, str]) -> tuple[str, ...]:
        kind = attributes.get("grouptype")
        if not kind and self._order.is_dynamic and attributes:
            return (f"Can not assign attributes to dynamic node group '{name}'.",)
        is_dynamic = kind == "dynamic" or (not kind and self._order.is_dynamic)
        has_where = bool(self._order.where)
        if is_dynamic and not attributes.get("wherevals") and not has_where:
            return conditions_missing(name)
        if not is_dynamic and has_where and attributes.get("members"):
            return ("Cannot use a list of members together with the '-w' option.",)
        return ()

    def _with_members(self, name: str, definition: Definition) -> Definition:
        attributes = dict(definition.attributes)
        if not attributes.get("grouptype"):
            attributes["grouptype"] = "dynamic" if self._order.is_dynamic else "static"
            if self._order.is_dynamic:
                attributes["members"] = "dynamic"
        if attributes["grouptype"] == "dynamic" and not attributes.get("wherevals"):
            attributes["wherevals"] = "::".join(self._order.where)
        if attributes["grouptype"] == "static":
            for node in groups.existing(self._writer, self._members(name, attributes)):
                self._writer.memberships.add(node, name)
        return Definition(definition.kind, attributes)

    def _members(self, name: str, attributes: dict[str, str]) -> tuple[str, ...]:
        """The nodes a static group gets; the attribute itself only says that it is static."""
        text = attributes.get("members")
        if not text and not self._order.where:
            self._planned.remarks.append(
                warning(f"Cannot determine a member list for group '{name}'.")
            )
            return ()
        attributes["members"] = "static"
        return self._expand(text) if text else groups.matching(self._writer, self._order.conditions)

    def _say_results(self, updated: set[str], *, has_failed: bool) -> None:
        results = self._planned.results
        if has_failed:
            results.append(error(FAILED))
            return
        if self._order.is_verbose and updated:
            text = "The database was updated for the following objects:"
            results.append(info(text, *sorted(updated)))
        elif self._order.is_verbose:
            results.append(error("The database was not updated."))
        text = f"{len(updated)} object definitions have been created or modified."
        results.append(info(text) if updated else error(text))


def groups_missing(node: str) -> str:
    """What to tell about a new node without groups."""
    return f"Attribute 'groups' is not specified for node '{node}', skipping to the next node."


def conditions_missing(group: str) -> tuple[str, str]:
    """What to tell about a dynamic group without conditions."""
    return (
        f"The 'where' attributes and values were not provided for dynamic group '{group}'.",
        "Skipping to the next group.",
    )


def tables_needed(order: Order) -> frozenset[str]:
    """The tables to read for an order: those of the attributes, or all of a replaced object's."""
    wanted: frozenset[str] = frozenset({"nodelist", "nodegroup", "site", "postscripts", "nics"})
    kinds = set(order.kinds) | {stanza.get(TYPE, "") for stanza in order.stanzas.values()}
    attributes = set(order.attributes).union(*order.stanzas.values())
    for kind in kinds & set(mapping.TYPES):
        known = frozenset(mapping.TYPES[kind].attributes)
        everything = (
            order.is_forced or order.derives or order.template or kind in mapping.FREE_TYPES
        )
        wanted |= mapping.tables((kind,), None if everything else attributes & known)
        wanted |= mapping.name_tables(kind) | {
            entry.table
            for entry in mapping.TYPES[kind].entries
            if entry.attribute in attributes or order.derives
        }
    deciders = frozenset(mapping.TYPES["group"].attributes) & {"mgt", "nodetype", "imagetype"}
    wanted |= mapping.tables(("group",), deciders)
    if "network" in kinds:
        wanted |= {"networks"}
    return wanted | mapping.tables(("node",), tuple(order.conditions))
