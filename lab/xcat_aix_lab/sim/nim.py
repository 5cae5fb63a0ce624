"""``nim -o OPERATION``: reading the command line and finding the operation."""

from __future__ import annotations

import importlib

from . import catalogue, flags, messages, objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .objects import SimulatedDatabase, SimulatedObject
    from .world import World

_PLACES = {
    "define": "define:define",
    "change": "change:change",
    "remove": "change:remove",
    "allocate": "allocation:allocate",
    "deallocate": "allocation:deallocate",
    "reset": "allocation:reset",
    "dkls_init": "install:dkls_init",
    "dtls_init": "install:dtls_init",
    "bos_inst": "install:bos_inst",
    "check": "upkeep:check",
    "cust": "upkeep:cust",
    "sync_roots": "upkeep:sync_roots",
    "update": "upkeep:update",
    "unconfig": "upkeep:unconfig",
}


class NimCall:
    """One operation: who asks for it, on which master, with what."""

    __slots__ = ("attributes", "caller", "db", "force", "names", "node", "type", "world")

    def __init__(
        self,
        world: World,
        node: str,
        names: list[str],
        attributes: flags.Attributes,
        *,
        caller: str = "master",
        force: bool = False,
        type_: str | None = None,
    ) -> None:
        self.world = world
        self.node = node
        self.db: SimulatedDatabase = world.edit_nim("nim", node)
        self.names = names
        self.attributes = attributes
        self.caller = caller
        self.force = force
        self.type = type_

    def get(self, attribute: str) -> str | None:
        """The last value given for an attribute."""
        return dict(self.attributes).get(attribute)

    def required(self, attribute: str, method: str) -> str:
        """A value that must have been given; raises message 021."""
        value = self.get(attribute)
        if not value:
            text = f'the "{attribute}" attribute is required for this operation'
            raise messages.NimError(messages.REQUIRED, method, text)
        return value

    def resource_values(self) -> list[tuple[str, str]]:
        """The given attributes that name resources, as (type, name)."""
        return [(name, value) for name, value in self.attributes if name in catalogue.RESOURCES]

    def the_name(self, method: str) -> str:
        """The one object that the operation is for."""
        if len(self.names) != 1:
            raise flags.usage("nim", f"{method} needs exactly one object")
        return self.names[0]


def nim(args: list[str], world: World) -> str:
    """Perform an operation as the master."""
    options, names = flags.parse("nim", args, "o:Ft:a:")
    values = dict(options)
    if "o" not in values:
        raise flags.usage("nim", "-o is needed")
    call = NimCall(
        world,
        world.node,
        names,
        flags.attributes("nim", options),
        force="F" in values,
        type_=values.get("t"),
    )
    return perform(values["o"], call)


def perform(operation: str, call: NimCall) -> str:
    """Do ``operation``; the output is empty for most (docs/facts/nim.md, Commands, exit codes and messages)."""
    place = _PLACES.get(operation)
    if place is None:
        text = f'"{operation}" is not a valid operation'
        raise messages.NimError(messages.BAD_OPERATION, "nim", text)
    _check_applicable(operation, call)
    module, _, function = place.partition(":")
    output: str = getattr(importlib.import_module(f".{module}", __package__), function)(call)
    return output


def _check_applicable(operation: str, call: NimCall) -> None:
    if operation == "define":
        return
    for name in call.names:
        obj = call.db.get(name)
        allowed = catalogue.APPLICABLE.get(obj.type, catalogue.OTHER_APPLICABLE)
        if operation not in allowed:
            text = f'the "{operation}" operation is not supported for "{name}" of type {obj.type}'
            raise messages.NimError(messages.BAD_OPERATION, "nim", text)


def check_control(machine: SimulatedObject, caller: str, method: str) -> None:
    """Refuse the master while the client has control, and the other way round."""
    control = machine.attributes.get("control", "")
    owner = control.partition(" ")[0]
    if not owner or owner == caller:
        return
    if control.endswith(" push_off") and caller == "master":
        text = f'"{machine.name}" does not permit the master to push operations'
        raise messages.NimError(messages.REFUSED_BY_CLIENT, method, text)
    text = f'"{machine.name}" is under the control of "{owner}"'
    raise messages.NimError(messages.NOT_AUTHORISED, method, text)


def check_state(machine: SimulatedObject, method: str, *, force: bool) -> None:
    """Refuse an operation on a machine that is not ready, unless forced."""
    state = machine.attributes.get("Cstate", objects.READY)
    if not force and state != objects.READY:
        text = f'the state of "{machine.name}" prevents this operation from succeeding: {state}'
        raise messages.NimError(messages.WRONG_STATE, method, text)


def set_state(machine: SimulatedObject, state: str) -> None:
    """Move a machine to another Cstate, keeping the one before as ``prev_state``."""
    machine.attributes["prev_state"] = machine.attributes.get("Cstate", state)
    machine.attributes["Cstate"] = state
