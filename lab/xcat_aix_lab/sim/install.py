"""``nim -o dkls_init``, ``dtls_init`` and ``bos_inst``: make a machine ready for its next boot."""

from __future__ import annotations

from . import bootfiles, messages, objects
from .allocation import take
from .nim import check_control, check_state, set_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .nim import NimCall
    from .objects import SimulatedObject

_SOURCES = ("rte", "mksysb", "spot")


def dkls_init(call: NimCall) -> str:
    """Enable a diskless boot; spot, paging and exactly one kind of root are needed."""
    return _enable_network_boot(call, ("spot", "paging"), "m_dkls_init")


def dtls_init(call: NimCall) -> str:
    """Enable a dataless boot; spot and root are needed."""
    return _enable_network_boot(call, ("spot",), "m_dtls_init")


def _enable_network_boot(call: NimCall, needed: tuple[str, ...], method: str) -> str:
    for name in call.names:
        machine = _prepared(call, name, method)
        held = dict(machine.allocations)
        for type_ in needed:
            _require(held, type_, method)
        _check_roots(call, held, method)
        if "shared_root" in held:
            bootfiles.make_client_data(call, call.db.get(held["shared_root"]), machine)
        _finish(call, machine, objects.DISKLESS_ENABLED, "rc.dd_boot")
    return ""


def _check_roots(call: NimCall, held: dict[str, str], method: str) -> None:
    if ("root" in held) == ("shared_root" in held):
        text = "exactly one of root and shared_root must be allocated"
        raise messages.NimError(messages.REQUIRED, method, text)
    if "shared_root" not in held:
        return
    if call.db.get(held["shared_root"]).attributes.get("spot") != held["spot"]:
        text = f'"{held["shared_root"]}" was not built from "{held["spot"]}"'
        raise messages.NimError(messages.BAD_VALUE, method, text)


def bos_inst(call: NimCall) -> str:
    """Enable an installation over the network."""
    source = call.get("source") or "rte"
    if source not in _SOURCES:
        text = f'"{source}" is not a valid source'
        raise messages.NimError(messages.BAD_VALUE, "m_bos_inst", text)
    for name in call.names:
        machine = _prepared(call, name, "m_bos_inst")
        held = dict(machine.allocations)
        _require(held, "spot", "m_bos_inst")
        if source == "mksysb":
            _require(held, "mksysb", "m_bos_inst")
        if source == "rte":
            _require(held, "lpp_source", "m_bos_inst")
        if "script" in held and "nim_script" not in held:
            take(call, machine, "nim_script", "nim_script")
        _finish(call, machine, objects.BOS_ENABLED, "rc.bos_inst")
    return ""


def _prepared(call: NimCall, name: str, method: str) -> SimulatedObject:
    """The machine with all resources that the command line names allocated."""
    machine = call.db.edit(name)
    check_control(machine, call.caller, method)
    check_state(machine, method, force=call.force)
    for type_, resource in call.resource_values():
        if (type_, resource) not in machine.allocations:
            take(call, machine, type_, resource)
    return machine


def _require(held: dict[str, str], type_: str, method: str) -> None:
    if type_ not in held:
        text = f'the "{type_}" attribute is required for this operation'
        raise messages.NimError(messages.REQUIRED, method, text)


def _finish(call: NimCall, machine: SimulatedObject, state: str, configuration: str) -> None:
    if ("boot", "boot") not in machine.allocations:
        take(call, machine, "boot", "boot")
    set_state(machine, state)
    machine.attributes["Cstate_result"] = "success"
    bootfiles.write_boot_files(call, machine, configuration)
