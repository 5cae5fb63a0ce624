"""``nim -o allocate``, ``deallocate`` and ``reset``: who may use which resource."""

from __future__ import annotations

from . import bootfiles, catalogue, messages, objects
from .nim import check_control, check_state, set_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nim import NimCall
    from .objects import SimulatedObject


def allocate(call: NimCall) -> str:
    """Give resources to a machine."""
    machine = call.db.edit(call.the_name("allocate"))
    check_control(machine, call.caller, "m_alloc")
    check_state(machine, "m_alloc", force=call.force)
    wanted = call.resource_values()
    if not wanted:
        raise messages.NimError(messages.REQUIRED, "m_alloc", "a resource must be specified")
    for type_, name in wanted:
        take(call, machine, type_, name)
    return ""


def take(call: NimCall, machine: SimulatedObject, type_: str, name: str) -> None:
    """Allocate one resource; raises if it does not fit or the place is taken."""
    resource = call.db.get(name, "m_alloc")
    if resource.cls != objects.RESOURCES or resource.type != type_:
        text = f'"{name}" is not a resource of type {type_}'
        raise messages.NimError(messages.BAD_VALUE, "m_alloc", text)
    if type_ not in catalogue.ALLOCATABLE.get(machine.type, ()):
        text = f'a {type_} resource cannot be allocated to "{machine.name}" of type {machine.type}'
        raise messages.NimError(messages.BAD_VALUE, "m_alloc", text)
    same = [held for held_type, held in machine.allocations if held_type == type_]
    if name in same or (same and type_ not in catalogue.REPEATABLE):
        text = f'"{same[0]}" of type {type_} is already allocated to "{machine.name}"'
        raise messages.NimError(messages.ALREADY_ALLOCATED, "m_alloc", text)
    machine.allocations.append((type_, name))
    machine.attributes.setdefault("control", call.caller)
    if type_ in catalogue.PER_CLIENT:
        bootfiles.make_client_part(call, resource, machine)


def deallocate(call: NimCall) -> str:
    """Take resources from a machine; the client's own parts of them are deleted."""
    machine = call.db.edit(call.the_name("deallocate"))
    check_control(machine, call.caller, "m_dealloc")
    check_state(machine, "m_dealloc", force=call.force)
    for type_, name in _chosen(call, machine):
        machine.allocations.remove((type_, name))
        if type_ in (*catalogue.PER_CLIENT, "shared_root"):
            bootfiles.remove_client_part(call, call.db.get(name), machine)
    if not any(type_ not in ("boot", "nim_script") for type_, _ in machine.allocations):
        machine.allocations.clear()
        _release(machine)
        bootfiles.remove_boot_files(call, machine)
    return ""


def _chosen(call: NimCall, machine: SimulatedObject) -> list[tuple[str, str]]:
    subclass = call.get("subclass")
    if subclass is not None:
        types = catalogue.SUBCLASSES.get(subclass)
        if types is None:
            text = f'"{subclass}" is not a valid subclass'
            raise messages.NimError(messages.BAD_VALUE, "m_dealloc", text)
        return [pair for pair in machine.allocations if pair[0] in types]
    wanted = list(dict.fromkeys(call.resource_values()))
    if not wanted:
        raise messages.NimError(messages.REQUIRED, "m_dealloc", "a resource must be specified")
    for pair in wanted:
        call.db.get(pair[1], "m_dealloc")
        if pair not in machine.allocations:
            text = f'"{pair[1]}" is not allocated to "{machine.name}"'
            raise messages.NimError(messages.BAD_VALUE, "m_dealloc", text)
    return wanted


def _release(machine: SimulatedObject) -> None:
    """Nobody has control of a machine without allocations; a client's ``push_off`` stays."""
    control = machine.attributes.pop("control", "")
    if control.endswith(" push_off"):
        machine.attributes["control"] = control


def reset(call: NimCall) -> str:
    """Make objects ready again.  Allocations stay (docs/facts/nim.md, nim operations)."""
    for name in call.names:
        obj = call.db.edit(name)
        if obj.cls == objects.MACHINES:
            if not call.force:
                check_control(obj, call.caller, "m_reset")
            if obj.attributes.get("Cstate") != objects.READY:
                set_state(obj, objects.READY)
                obj.attributes["Cstate_result"] = "reset"
            obj.attributes.pop("info", None)
        elif obj.cls == objects.RESOURCES:
            obj.attributes["Rstate"] = "ready for use"
    return ""
