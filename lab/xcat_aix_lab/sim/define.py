"""``nim -o define``: machines, networks, resources and groups."""

from __future__ import annotations

from . import addresses, catalogue, messages, objects
from .objects import SimulatedObject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .nim import NimCall
    from .objects import SimulatedDatabase

_NAME_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_NAME_LENGTH = 39
_CREATED = "Sun Jun 22 20:38:04 2025"
_SUFFIXES = {"server", "location", "group"}


def define(call: NimCall) -> str:
    """Make one object."""
    cls = catalogue.class_of(call.type or "")
    if cls is None or call.type == "master":
        text = f'"{call.type}" is not a valid object type'
        raise messages.NimError(messages.BAD_VALUE, "nim", text)
    method = {"machines": "m_mkmac", "networks": "m_mknet", "groups": "m_mkgrp"}.get(cls)
    name = new_name(call, method or f"m_mk{call.type}")
    makers = {"machines": _machine, "networks": _network, "groups": _group}
    call.db.add(makers.get(cls, _resource)(call, name))
    return ""


def new_name(call: NimCall, method: str) -> str:
    """The operand, checked to be a valid and free object name."""
    name = call.the_name(method)
    if not name or len(name) > _NAME_LENGTH or not set(name) <= _NAME_CHARACTERS:
        raise messages.NimError(messages.BAD_NAME, method, f'"{name}" is not a valid object name')
    if name in call.db.objects:
        text = f'the object name "{name}" is already used: it must be unique'
        raise messages.NimError(messages.NOT_UNIQUE, method, text)
    return name


# Machines


def _machine(call: NimCall, name: str) -> SimulatedObject:
    call.required("if1", "m_mkmac")
    attributes = {
        "connect": "nimsh",
        "platform": "chrp",
        "netboot_kernel": "64",
        "if1": "",
        "cable_type1": "N/A",
        "Cstate": objects.READY,
        "prev_state": objects.READY,
        "Mstate": "currently running",
    }
    for attribute, value in call.attributes:
        if attribute == "net_definition":
            continue
        is_interface = is_indexed(attribute, "if")
        attributes[attribute] = interface(call, value, name) if is_interface else value
    return SimulatedObject(name, objects.MACHINES, call.type or "", attributes)


def interfaces_of(machine: SimulatedObject) -> Iterator[str]:
    """The values of ``if1``, ``if2`` … of a machine, for as long as they follow each other."""
    index = 1
    while (value := machine.attributes.get(f"if{index}")) is not None:
        yield value
        index += 1


def is_indexed(attribute: str, stem: str) -> bool:
    """Tell whether ``attribute`` is ``stem`` and a number."""
    return attribute.startswith(stem) and attribute[len(stem) :].isdigit()


def interface(call: NimCall, value: str, machine: str) -> str:
    """An ``if<n>`` value, its ``find_net`` resolved; checks host name and MAC address."""
    words = value.split()
    if len(words) < 3:
        text = f'"{value}" is not a valid value for an "if" attribute'
        raise messages.NimError(messages.BAD_VALUE, "m_mkmac", text)
    net, host, mac = words[:3]
    found = call.world.resolve(host)
    if found is None:
        text = f'unable to resolve the host name "{host}"'
        raise messages.NimError(messages.BAD_VALUE, "m_mkmac", text)
    _check_mac(call.db, mac, machine)
    if net == "find_net":
        net = find_network(call.db, found[1]) or _defined_network(call, found[1])
    elif call.db.get(net, "m_mkmac").cls != objects.NETWORKS:
        text = f'"{net}" is not a network'
        raise messages.NimError(messages.BAD_VALUE, "m_mkmac", text)
    return " ".join([net, host, mac, *words[3:]])


def _check_mac(database: SimulatedDatabase, mac: str, machine: str) -> None:
    if mac == "0":
        return
    wanted = mac.lower()
    for other in database.of_class(objects.MACHINES):
        macs = [value.split()[2].lower() for value in interfaces_of(other)]
        if wanted in macs and other.name != machine:
            text = f'the hardware address {mac} is already used by "{other.name}"'
            raise messages.NimError(messages.NOT_UNIQUE, "m_mkmac", text)


def find_network(database: SimulatedDatabase, address: str) -> str | None:
    """The network that holds an address; the one with the longest mask wins."""
    best: tuple[int, str] | None = None
    for net in database.of_class(objects.NETWORKS):
        mask = net.attributes["snm"]
        if addresses.network(address, mask) == net.attributes["net_addr"]:
            candidate = (addresses.prefix(mask), net.name)
            best = max(best, candidate) if best else candidate
    return best[1] if best else None


def _defined_network(call: NimCall, address: str) -> str:
    """Make the network that ``net_definition`` describes."""
    words = call.required("net_definition", "m_mkmac").split()
    if len(words) < 2 or words[0] not in catalogue.NETWORKS or not addresses.is_address(words[1]):
        text = f'"{" ".join(words)}" is not a valid net_definition'
        raise messages.NimError(messages.BAD_VALUE, "m_mkmac", text)
    net = addresses.network(address, words[1])
    name = "net_" + net.replace(".", "_")
    gateway = words[2] if len(words) > 2 else None
    call.db.add(network_object(name, words[0], net, words[1], gateway))
    return name


# Networks


def _network(call: NimCall, name: str) -> SimulatedObject:
    net = call.required("net_addr", "m_mknet")
    mask = call.required("snm", "m_mknet")
    for value in (net, mask):
        if not addresses.is_address(value):
            text = f'"{value}" is not a valid address'
            raise messages.NimError(messages.BAD_VALUE, "m_mknet", text)
    for other in call.db.of_class(objects.NETWORKS):
        if (other.attributes["net_addr"], other.attributes["snm"]) == (net, mask):
            text = f'the network {net} is already defined as "{other.name}"'
            raise messages.NimError(messages.NOT_UNIQUE, "m_mknet", text)
    made = network_object(name, call.type or "", net, mask, None)
    made.attributes.update(call.attributes)
    return made


def network_object(
    name: str, type_: str, net: str, mask: str, gateway: str | None
) -> SimulatedObject:
    """A network in its first state."""
    attributes = {
        "Nstate": "ready for use",
        "prev_state": "ready for use",
        "net_addr": net,
        "snm": mask,
    }
    if gateway:
        attributes["routing1"] = f"default {gateway}"
    return SimulatedObject(name, objects.NETWORKS, type_, attributes)


# Groups


def _group(call: NimCall, name: str) -> SimulatedObject:
    made = SimulatedObject(name, objects.GROUPS, call.type or "", {})
    for attribute, member in call.attributes:
        if attribute == "add_member":
            add_member(call.db, made, member)
    return made


def add_member(database: SimulatedDatabase, group: SimulatedObject, member: str) -> None:
    """Put a machine into a group; twice changes nothing."""
    if database.get(member, "m_chgrp").cls != objects.MACHINES:
        text = f'"{member}" is not a machine'
        raise messages.NimError(messages.BAD_VALUE, "m_chgrp", text)
    if member not in group.attributes.values():
        index = 1
        while f"member{index}" in group.attributes:
            index += 1
        group.attributes[f"member{index}"] = member


# Resources


def _resource(call: NimCall, name: str) -> SimulatedObject:
    method = f"m_mk{call.type}"
    server = call.required("server", method)
    if call.db.get(server, method).cls != objects.MACHINES:
        text = f'"{server}" is not a machine'
        raise messages.NimError(messages.BAD_VALUE, method, text)
    location = _location(call, method, name)
    attributes = {"Rstate": "ready for use", "prev_state": "unavailable for use"}
    attributes.update(_of_type(call, method, location))
    attributes["location"] = location
    attributes["server"] = server
    for attribute, value in call.attributes:
        if attribute not in (*_SUFFIXES, "source", "mk_image"):
            attributes.setdefault(attribute, value)
    return SimulatedObject(name, objects.RESOURCES, call.type or "", attributes)


def _location(call: NimCall, method: str, name: str) -> str:
    location = call.required("location", method).rstrip("/")
    if not location.startswith("/") or f"{location}/".startswith("/tmp/"):  # noqa: S108  (a path of the simulated host)
        text = f'"{location}" is not a valid location'
        raise messages.NimError(messages.BAD_VALUE, method, text)
    if call.type == "spot" and location != "/usr":
        location = f"{location}/{name}/usr"
    server = call.get("server")
    for other in call.db.of_class(objects.RESOURCES):
        if (other.attributes.get("server"), other.attributes.get("location")) == (server, location):
            text = f'a resource already exists on "{server}" at location "{location}"'
            raise messages.NimError(messages.EXISTS_AT, method, text)
    return location


def _of_type(call: NimCall, method: str, location: str) -> dict[str, str]:
    if call.type == "lpp_source":
        return {"arch": "power", "simages": "yes"}
    if call.type == "spot":
        if call.get("source") or not call.world.store.files(call.node).has_below(location):
            # without a source the SPOT that was copied there is taken as it is, as xCAT does
            source = call.required("source", method)
            _check_type(call, source, ("lpp_source", "mksysb", "spot"), method)
        return {
            "plat_defined": "chrp",
            "version": "7",
            "release": "3",
            "mod": "2",
            "oslevel_r": "7300-02",
            "oslevel_s": "7300-02-02-2420",
            "if_supported": "chrp.64 ent",
            "Rstate_result": "success",
            "date_updated": _CREATED,
        }
    if call.type == "shared_root":
        _check_type(call, call.required("spot", method), ("spot",), method)
    return {}


def _check_type(call: NimCall, name: str, types: tuple[str, ...], method: str) -> None:
    if call.db.get(name, method).type not in types:
        text = f'"{name}" is not of type {" or ".join(types)}'
        raise messages.NimError(messages.BAD_VALUE, method, text)
