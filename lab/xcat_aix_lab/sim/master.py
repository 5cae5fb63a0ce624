"""``nimconfig`` and ``nim_master_setup``: make a host a NIM master."""

from __future__ import annotations

from . import addresses, flags, messages, niminfo, objects
from .define import network_object
from .objects import SimulatedDatabase, SimulatedObject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .world import World


def nimconfig(args: list[str], world: World) -> str:
    """``-a pif_name= -a netname=`` configure; ``-r`` rebuild niminfo; ``-c -C -h -H`` switches."""
    options, _ = flags.parse("nimconfig", args, "a:rcChH")
    letters = {letter for letter, _ in options}
    if letters & set("cChH"):
        world.nim("nimconfig")
        return ""
    if "r" in letters:
        world.nim("nimconfig")
        world.write(niminfo.PATH, niminfo.text(niminfo.master(world.host.hostname)))
        return ""
    given = dict(flags.attributes("nimconfig", options))
    for attribute in ("pif_name", "netname"):
        if not given.get(attribute):
            text = f'the "{attribute}" attribute is required for this operation'
            raise messages.NimError(messages.REQUIRED, "nimconfig", text)
    return _configure(world, given)


def nim_master_setup(args: list[str], world: World) -> str:
    """Configure on the first interface, with the network named ``master_net``."""
    options, _ = flags.parse("nim_master_setup", args, "a:BFLv")
    flags.attributes("nim_master_setup", options)
    given = {"pif_name": world.host.interfaces[0]["name"], "netname": "master_net"}
    return _configure(world, given)


def _configure(world: World, given: dict[str, str]) -> str:
    if world.store.nim(world.node) is not None:
        text = "this machine is already configured as a NIM master"
        raise messages.NimError(messages.ALREADY_CONFIGURED, "nimconfig", text)
    host = world.edit_host()
    card = next((i for i in host.interfaces if i["name"] == given["pif_name"]), None)
    if card is None:
        text = f'"{given["pif_name"]}" is not a network interface of this machine'
        raise messages.NimError(messages.BAD_VALUE, "nimconfig", text)
    name = world.store.topology.name_of(card["address"]) or host.hostname
    world.start_nim(new_database(name, card, given))
    world.write(niminfo.PATH, niminfo.text(niminfo.master(host.hostname)))
    host.subsystems["nimesis"] = {"group": "nim", "pid": 5_242_880}
    return "0513-059 The nimesis Subsystem has been started. Subsystem PID is 5242880.\n"


def new_database(name: str, card: dict[str, str], given: dict[str, str]) -> SimulatedDatabase:
    """The objects that a new master starts with."""
    database = SimulatedDatabase([])
    adapter = card["name"].replace("en", "ent", 1)
    attributes = {
        "max_nimesis_threads": "20",
        "reserved": "yes",
        "ssl_support": "no",
        "if1": f"{given['netname']} {name} {card['mac']} {adapter}",
        "cable_type1": given.get("cable_type", "N/A"),
        "platform": given.get("platform", "chrp"),
        "netboot_kernel": given.get("netboot_kernel", "64"),
        "Cstate": objects.READY,
        "prev_state": objects.READY,
        "Mstate": "currently running",
        "master_port": given.get("master_port", "1058"),
        "registration_port": given.get("registration_port", "1059"),
    }
    database.add(SimulatedObject("master", objects.MACHINES, "master", attributes))
    for own, location in (("boot", "/tftpboot"), ("nim_script", "/export/nim/scripts")):
        resource = {"Rstate": "ready for use", "location": location, "server": "master"}
        database.add(SimulatedObject(own, objects.RESOURCES, own, {**resource, "reserved": "yes"}))
    net = addresses.network(card["address"], card["mask"])
    database.add(network_object(given["netname"], "ent", net, card["mask"], None))
    return database
