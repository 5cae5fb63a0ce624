"""``nim -o change`` and ``nim -o remove``."""

from __future__ import annotations

from . import messages, objects
from .define import add_member, interface, interfaces_of, is_indexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nim import NimCall
    from .objects import SimulatedObject

#: May be changed while the resource is allocated.
_HARMLESS = {"comments"}
_DERIVED = {"class", "type", "alloc_count", "serves", "name"}


def change(call: NimCall) -> str:
    """Set attributes; an empty value takes the attribute away."""
    obj = call.db.edit(call.the_name("change"))
    in_use = obj.cls == objects.RESOURCES and call.db.users(obj.name)
    if in_use and {attribute for attribute, _ in call.attributes} - _HARMLESS:
        raise _allocated("m_chattr", obj.name)
    for attribute, value in call.attributes:
        _set(call, obj, attribute, value)
    return ""


def _set(call: NimCall, obj: SimulatedObject, attribute: str, value: str) -> None:
    if attribute in _DERIVED:
        text = f'the "{attribute}" attribute cannot be changed'
        raise messages.NimError(messages.BAD_ATTRIBUTE, "m_chattr", text)
    if obj.cls == objects.GROUPS and attribute == "add_member":
        add_member(call.db, obj, value)
    elif obj.cls == objects.GROUPS and attribute == "rm_member":
        _drop_member(obj, value)
    elif not value:
        obj.attributes.pop(attribute, None)
    elif obj.cls == objects.MACHINES and is_indexed(attribute, "if"):
        obj.attributes[attribute] = interface(call, value, obj.name)
    elif attribute != "net_definition":
        obj.attributes[attribute] = value


def _drop_member(group: SimulatedObject, member: str) -> None:
    for attribute in [name for name, value in group.attributes.items() if value == member]:
        del group.attributes[attribute]


def _allocated(method: str, name: str) -> messages.NimError:
    text = f'the "{name}" resource is currently allocated for client use'
    return messages.NimError(messages.IN_USE, method, text)


def remove(call: NimCall) -> str:
    """Take an object away; refused while something depends on it."""
    name = call.the_name("remove")
    obj = call.db.get(name)
    if name in objects.BUILT_IN:
        text = f'the "{name}" object cannot be removed'
        raise messages.NimError(messages.BAD_OPERATION, "m_rm", text)
    removers = {
        objects.MACHINES: _remove_machine,
        objects.RESOURCES: _remove_resource,
        objects.NETWORKS: _remove_network,
    }
    if obj.cls in removers:
        removers[obj.cls](call, obj)
    call.db.delete(name)
    return ""


def _remove_machine(call: NimCall, machine: SimulatedObject) -> None:
    if machine.allocations:
        text = f'unable to remove "{machine.name}" because resources have been allocated to it'
        raise messages.NimError(messages.HAS_ALLOCATIONS, "m_rmmac", text)
    for group in call.db.of_class(objects.GROUPS):
        if machine.name in group.attributes.values():
            _drop_member(call.db.edit(group.name), machine.name)
    _unconfigure_client(call, machine)


def _unconfigure_client(call: NimCall, machine: SimulatedObject) -> None:
    """A client that answers loses its /etc/niminfo; nimsh there runs on (docs/facts/nim.md, nim operations)."""
    world = call.world
    found = world.resolve(machine.attributes["if1"].split()[1])
    if found is None or not world.quirk("remove_deletes_niminfo", call.node):
        return
    client = found[0]
    if world.is_up(client) and world.host_of(client).is_active("nimsh"):
        world.store.files(client).remove("/etc/niminfo")


def _remove_resource(call: NimCall, resource: SimulatedObject) -> None:
    if call.db.users(resource.name):
        kind = "rmpdir" if resource.type in ("root", "paging", "dump", "tmp", "home") else "rmres"
        raise _allocated(f"m_{kind}", resource.name)
    for other in call.db.of_class(objects.RESOURCES):
        if other.attributes.get("spot") == resource.name:
            text = f'the "{resource.name}" resource is needed by "{other.name}"'
            raise messages.NimError(messages.IN_USE, "m_rmres", text)
    call.world.store.files(call.node).remove_below(resource.attributes["location"])


def _remove_network(call: NimCall, network: SimulatedObject) -> None:
    for machine in call.db.of_class(objects.MACHINES):
        if any(value.partition(" ")[0] == network.name for value in interfaces_of(machine)):
            text = f'the "{network.name}" network is used by "{machine.name}"'
            raise messages.NimError(messages.IN_USE, "m_rmnet", text)
