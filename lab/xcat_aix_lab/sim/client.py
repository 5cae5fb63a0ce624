"""``niminit`` and ``nimclient``: the client's side (docs/facts/nim.md, Client and master set-up)."""

from __future__ import annotations

from . import define, flags, lsnim, messages, niminfo, objects
from .nim import NimCall, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import SimulatedHost
    from .objects import SimulatedDatabase, SimulatedObject
    from .world import World

_PULLS = ("allocate", "deallocate", "reset", "bos_inst", "check", "cust", "change", "dkls_init")
_PUSH_OFF = " push_off"


# niminit


def niminit(args: list[str], world: World) -> str:
    """Configure this host as a client; ``pif_name`` makes it the full form, else the rebuild form."""
    options, operands = flags.parse("niminit", args, "a:c")
    given = dict(flags.attributes("niminit", options))
    if operands:
        raise flags.usage("niminit", f'"{operands[0]}" is not expected')
    for attribute in ("name", "master"):
        if not given.get(attribute):
            text = f'the "{attribute}" attribute is required for this operation'
            raise messages.NimError(messages.REQUIRED, "niminit", text)
    _check_not_configured(world, full="pif_name" in given)
    master = world.contact(given["master"], "niminit")
    output = _register(world, master, given) if "pif_name" in given else ""
    _write_niminfo(world, master, given)
    return output


def _check_not_configured(world: World, *, full: bool) -> None:
    if world.read(niminfo.PATH) is None:
        return
    if full or not world.quirk("rebuild_over_niminfo"):
        text = f"{niminfo.PATH} exists: this machine is already configured as a NIM client"
        raise messages.NimError(messages.ALREADY_CONFIGURED, "niminit", text)


def _write_niminfo(world: World, master: str, given: dict[str, str]) -> None:
    host = world.host
    values = niminfo.client(
        given["name"], host.hostname, given["master"], world.host_of(master).cpuid
    )
    values["NIM_MASTER_PORT"] = given.get("master_port", "1058")
    world.write(niminfo.PATH, niminfo.text(values))


def _register(world: World, master: str, given: dict[str, str]) -> str:
    """The full form: make the machine object on the master, start nimsh."""
    host = world.host
    card = next((i for i in host.interfaces if i["name"] == given["pif_name"]), None)
    if card is None:
        text = f'"{given["pif_name"]}" is not a network interface of this machine'
        raise messages.NimError(messages.BAD_VALUE, "niminit", text)
    adapter = given["pif_name"].replace("en", "ent", 1)
    own_name = world.store.topology.name_of(card["address"]) or host.hostname
    value = f"find_net {own_name} {card['mac']} {adapter}"
    net = f"ent {card['mask']}"
    attributes = [("if1", value), ("net_definition", net)]
    attributes += [(n, given[n]) for n in ("platform", "netboot_kernel", "connect") if n in given]
    call = NimCall(world, master, [given["name"]], attributes, type_="standalone")
    define.define(call)
    machine = call.db.edit(given["name"])
    machine.attributes["cpuid"] = host.cpuid
    machine.attributes["Cstate_result"] = "success"
    return _start_nimsh(world.edit_host())


def _start_nimsh(host: SimulatedHost) -> str:
    pid = 7_340_000 + 256 * (len(host.subsystems) + 1)
    host.subsystems["nimsh"] = {"group": "nimclient", "pid": pid}
    return (
        "nimsh:2:wait:/usr/bin/startsrc -g nimclient >/dev/console 2>&1\n"
        "0513-077 Subsystem has been changed.\n"
        f"0513-059 The nimsh Subsystem has been started. Subsystem PID is {pid}.\n"
    )


# nimclient


def nimclient(args: list[str], world: World) -> str:
    """Ask the master, or tell it whether it may push."""
    if args[:1] and args[0].startswith("-l"):
        return _query(_lsnim_flags(args), world)
    options, operands = flags.parse("nimclient", args, "pPcCdo:a:t:F")
    values = dict(options)
    if "p" in values or "P" in values:
        return _set_push(world, allowed="p" in values)
    if "o" in values:
        return _pull(world, values["o"], flags.attributes("nimclient", options), operands)
    if values.keys() & {"c", "C", "d"}:
        _master(world)
        return ""
    raise flags.usage("nimclient", "one of -l, -o, -p, -P, -c, -C, -d is needed")


def _lsnim_flags(args: list[str]) -> list[str]:
    """``-l -l n01``, ``-l n01`` and ``-lc machines`` all hand the rest over to lsnim."""
    bundled = [f"-{args[0][2:]}"] if len(args[0]) > 2 else []
    return bundled + args[1:]


def _query(args: list[str], world: World) -> str:
    master, _ = _master(world)
    drops_empty = world.quirk("z_drops_empty", master)
    return lsnim.answer(args, world.nim("nimclient", master), drops_empty=drops_empty)


def _master(world: World) -> tuple[str, dict[str, str]]:
    """The master's node and the own niminfo; checks that the master knows this client."""
    text = world.read(niminfo.PATH)
    if text is None:
        problem = f"unable to read {niminfo.PATH}: this machine is not configured as a NIM client"
        raise messages.NimError(messages.NOT_CONFIGURED, "nimclient", problem)
    values = niminfo.parse(text)
    master = world.contact(values.get("NIM_MASTER_HOSTNAME", ""), "nimclient")
    _identified(world.nim("nimclient", master), values.get("NIM_NAME", ""), world.host)
    return master, values


def _identified(database: SimulatedDatabase, name: str, host: SimulatedHost) -> SimulatedObject:
    machine = database.get(name, "m_nimclient")
    known = machine.attributes.get("cpuid")
    validate = database.get("master").attributes.get("validate_cpuid") != "no"
    if known and known != host.cpuid and validate:
        text = f'the CPU id of "{name}" does not match the one on the master'
        raise messages.NimError(messages.NOT_AUTHORISED, "m_nimclient", text)
    return machine


def _set_push(world: World, *, allowed: bool) -> str:
    master, values = _master(world)
    machine = world.nim("nimclient", master).get(values["NIM_NAME"])
    wanted = {"cpuid": world.host.cpuid, **machine.attributes}
    if wanted.get("control") == "master":
        if not allowed:
            text = f'"{machine.name}" is under the control of the master'
            raise messages.NimError(messages.NOT_AUTHORISED, "m_nimclient", text)
    else:
        wanted.pop("control", None)
        if not allowed:
            wanted["control"] = machine.name + _PUSH_OFF
        elif machine.allocations:
            wanted["control"] = machine.name
    if wanted != machine.attributes:
        attributes = world.edit_nim("nimclient", master).edit(machine.name).attributes
        attributes.pop("control", None)
        attributes.update(wanted)
    return ""


def _pull(world: World, operation: str, attributes: flags.Attributes, operands: list[str]) -> str:
    master, values = _master(world)
    if operation not in _PULLS:
        text = f'"{operation}" is not an operation that a client can perform'
        raise messages.NimError(messages.BAD_OPERATION, "nimclient", text)
    if operands:
        raise flags.usage("nimclient", f'"{operands[0]}" is not expected')
    name = values["NIM_NAME"]
    machine = world.nim("nimclient", master).get(name)
    if machine.cls != objects.MACHINES:
        raise messages.NimError(messages.BAD_VALUE, "nimclient", f'"{name}" is not a machine')
    return perform(operation, NimCall(world, master, [name], attributes, caller=name))
