"""The plan of chdef: changed objects, new ones, and groups whose members change.

Pure.  As in xCAT, what is wrong with one object does not keep the other attributes of the command from being
written.  Facts: docs/facts/object-commands.md, chdef.
"""

from __future__ import annotations

from collections.abc import Mapping

from xcat_aix.plan.writing import Planned, error, info, warning
from xcatd.objects import conditions, object_names
from xcatd.objects.reader import Values
from xcatd.tablenames import Snapshot
from xcatd.text import perlre

from . import groups, itemlists, networks, osimages
from .gathering import TYPE, Gathered
from .mkdef import (
    FAILED,
    capital_name,
    conditions_missing,
    dotted_name,
    groups_missing,
    invalid_name,
)
from .objects import Definition, DefinitionWriter, Mode
from .orders import ExpandMembers, Order


def plan(
    order: Order,
    snapshot: Snapshot,
    expand: ExpandMembers,
    world: osimages.ImageSources | None = None,
) -> Planned:
    """What to write and to say; ``snapshot`` has the tables :func:`.mkdef.tables_needed` names.

    ``world`` is there if attributes of osimages are derived (``-u``).
    """
    planned = Planned()
    writer = DefinitionWriter(snapshot, planned.draft, planned.remarks)
    gathered = Gathered(order, writer)
    change = _Change(order, writer, expand, planned, has_failed=gathered.is_faulty, world=world)
    change.make(gathered)
    return planned


class _Change:
    """Goes through the objects one by one, then writes those that are left."""

    def __init__(
        self,
        order: Order,
        writer: DefinitionWriter,
        expand: ExpandMembers,
        planned: Planned,
        *,
        has_failed: bool,
        world: osimages.ImageSources | None,
    ) -> None:
        self._world = world
        self._order = order
        self._writer = writer
        self._planned = planned
        self._has_failed = has_failed
        self._groups = _GroupChange(order, writer, expand)
        self._networks: dict[str, Values] = {}
        self._live_networks: tuple[str, ...] = ()
        self._new: list[str] = []

    def make(self, gathered: Gathered) -> None:
        reader = self._writer.reader
        known = {kind: set(reader.names(kind)) for kind in gathered.kinds()}
        if "network" in known:
            self._networks = networks.stored(self._writer.snapshot)
            self._live_networks = reader.names("network")
        accepted = self._with_good_names(gathered.definitions)
        for name, definition in list(accepted.items()):
            exists = name in known[definition.kind]
            changed = self._checked(name, definition, exists=exists)
            if changed is None:
                del accepted[name]
            else:
                accepted[name] = changed
        self._say_bad_names(gathered.definitions)
        by_group = self._order.kind_text == "group"
        outcome = self._writer.write(accepted, self._order.mode, is_group_command=by_group)
        self._say_results(outcome.updated, has_failed=self._has_failed or outcome.is_refused)

    def _with_good_names(self, definitions: Mapping[str, Definition]) -> dict[str, Definition]:
        return {
            name: definition
            for name, definition in definitions.items()
            if not _is_dotted(name, definition) and object_names.is_valid(definition.kind, name)
        }

    def _say_bad_names(self, definitions: Mapping[str, Definition]) -> None:
        dotted = [name for name, found in definitions.items() if _is_dotted(name, found)]
        invalid = [
            name
            for name, found in definitions.items()
            if not _is_dotted(name, found) and not object_names.is_valid(found.kind, name)
        ]
        if dotted:
            self._planned.remarks.append(error(dotted_name(dotted)))
        if invalid:
            self._planned.remarks.append(error(invalid_name(invalid)))

    def _fail(self, *lines: str) -> None:
        self._planned.remarks.append(error(*lines))
        self._has_failed = True

    def _checked(self, name: str, definition: Definition, *, exists: bool) -> Definition | None:
        """What to write of one object; None for nothing at all."""
        kind, attributes = definition.kind, definition.attributes
        if fault := self._fault(kind, name, attributes, exists=exists):
            self._fail(fault)
            return None
        if not exists and kind == "node" and not attributes.get("groups"):
            self._fail(groups_missing(name))
            return definition
        if not exists:
            self._new.append(name)
            if self._order.mode is Mode.REMOVE:
                self._fail(
                    f"The '-m' option is not valid since the '{name}' definition does not exist."
                )
                return definition
        if kind == "group":
            return self._group(name, definition, exists=exists)
        return self._osimage(name, definition, exists=exists) if kind == "osimage" else definition

    def _osimage(self, name: str, definition: Definition, *, exists: bool) -> Definition:
        attributes = dict(definition.attributes)
        if self._world is not None:
            stored = self._writer.reader.read("osimage", (name,), osimages.BASE).get(name, {})
            attributes = {k: stored[k] for k in osimages.BASE if k in stored} | attributes
            installdir = self._writer.snapshot.site.get("installdir") or osimages.INSTALLDIR
            try:
                osimages.derive(attributes, self._world, installdir, is_change=True)
            except osimages.Underivable as fault:
                self._planned.remarks.append(error(str(fault)))
                return Definition("osimage", attributes)
        if not exists:
            attributes.setdefault("imagetype", "NIM")
        return Definition("osimage", attributes)

    def _fault(self, kind: str, name: str, attributes: Mapping[str, str], *, exists: bool) -> str:
        if kind == "osimage" and self._order.mode is not Mode.REMOVE:
            return osimages.fault_of_options(attributes)
        if kind != "network":
            return ""
        if exists:
            return networks.fault_of_change(name, attributes, self._networks, self._live_networks)
        return networks.fault_of_new(name, attributes, self._networks)

    def _group(self, name: str, definition: Definition, *, exists: bool) -> Definition | None:
        try:
            return self._groups.changed(name, definition, exists=exists)
        except GroupFault as fault:
            self._fail(*fault.lines)
            return fault.definition

    def _say_results(self, updated: set[str], *, has_failed: bool) -> None:
        results = self._planned.results
        if has_failed:
            results.append(error(FAILED))
            return
        if self._order.is_verbose:
            text = "The database was updated for the following objects:"
            names = [f"{name}\n" for name in sorted(updated)]
            results.append(info(text, "", *names) if updated else info("No database was updated"))
            return
        count = str(len(updated)) if updated else "No"
        results.append(info(f"{count} object definitions have been created or modified."))
        if self._new:
            text = f"New object definitions '{','.join(self._new)}' have been created."
            results.append(info(text))
        if capitals := [name for name in self._new if self._is_node(name) and _has_capital(name)]:
            results.append(warning(capital_name(capitals)))

    def _is_node(self, name: str) -> bool:
        kind = self._order.kind_text or self._order.stanzas.get(name, {}).get(TYPE, "node")
        return kind == "node"


def _is_dotted(name: str, definition: Definition) -> bool:
    return definition.kind == "node" and "." in name


def _has_capital(name: str) -> bool:
    return name != name.lower()


class GroupFault(ValueError):  # noqa: N818 - reads as what it is
    """A group cannot be changed as asked; ``definition`` is what xCAT writes of it all the same."""

    def __init__(self, lines: tuple[str, ...], definition: Definition | None) -> None:
        super().__init__(lines[0])
        self.lines = lines
        self.definition = definition


class _GroupChange:
    """Changes of groups: their own attributes, and who is in them."""

    def __init__(self, order: Order, writer: DefinitionWriter, expand: ExpandMembers) -> None:
        self._order = order
        self._writer = writer
        self._expand = expand

    def changed(self, name: str, definition: Definition, *, exists: bool) -> Definition:
        """The group's attributes as they are to be written; members' groups are changed on the way."""
        attributes = dict(definition.attributes)
        group_type = self._type(name, attributes, exists=exists)
        is_static = group_type in {"", "static"}
        if attributes and (self._order.is_dynamic or (exists and group_type == "dynamic")):
            text = f"Can not assign attributes to dynamic node group '{name}'."
            raise GroupFault((text,), None)
        if self._order.where and not attributes.get("wherevals"):
            attributes["wherevals"] = "::".join(self._order.where)
        if is_static and self._order.where and attributes.get("members"):
            text = "Cannot use a list of members together with the '-w' option."
            raise GroupFault((text,), Definition("group", attributes))
        members = self._members(attributes) if is_static else ()
        members = groups.existing(self._writer, members)
        if exists:
            self._change_members(name, members)
        else:
            self._complete(name, attributes)
            if attributes["grouptype"] == "static":
                self._add(name, members)
        return Definition("group", attributes)

    def _type(self, name: str, attributes: Mapping[str, str], *, exists: bool) -> str:
        if exists:
            found = self._writer.reader.read("group", (name,), ("grouptype",))
            return found.get(name, {}).get("grouptype", "")
        return attributes.get("grouptype") or ("dynamic" if self._order.is_dynamic else "static")

    def _members(self, attributes: dict[str, str]) -> tuple[str, ...]:
        """The nodes a static group is about; the attribute itself only says that it is static."""
        if text := attributes.get("members"):
            attributes["members"] = "static"
            return self._expand(text)
        if where := attributes.get("wherevals"):
            attributes["members"] = "static"
            try:
                tests = conditions.parse(itemlists.split(where, "::"))
            except (conditions.BadCondition, perlre.BadPattern):
                raise GroupFault(("Incorrect selection string",), None) from None
            return groups.matching(self._writer, tests)
        return ()

    def _complete(self, name: str, attributes: dict[str, str]) -> None:
        """A new group's type; raises GroupFault for a dynamic one without conditions."""
        if attributes.get("grouptype"):
            return
        if not self._order.is_dynamic:
            attributes["grouptype"] = "static"
            return
        attributes |= {"grouptype": "dynamic", "members": "dynamic"}
        if not attributes.get("wherevals"):
            raise GroupFault(conditions_missing(name), Definition("group", attributes))

    def _change_members(self, name: str, members: tuple[str, ...]) -> None:
        if not members:
            return
        match self._order.mode:
            case Mode.REMOVE:
                self._remove(name, members)
            case Mode.ADD:
                self._add(name, members)
            case Mode.REPLACE:
                self._remove(name, self._writer.snapshot.members.get(name, ()))
                self._add(name, members)

    def _add(self, group: str, members: tuple[str, ...]) -> None:
        for node in members:
            self._writer.memberships.add(node, group)

    def _remove(self, group: str, members: tuple[str, ...]) -> None:
        for node in members:
            if fault := self._writer.memberships.remove(node, group):
                self._writer.remarks.append(error(fault))
