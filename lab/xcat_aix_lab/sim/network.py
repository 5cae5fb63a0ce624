"""``ifconfig``, ``netstat``, ``route``, ``hostname`` and ``no`` in the formats of AIX."""

from __future__ import annotations

from . import addresses, flags
from .messages import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import SimulatedHost
    from .world import World

_UP = (
    "flags=1e084863,480<UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,"
    "CHECKSUM_OFFLOAD(ACTIVE),CHAIN>"
)
_LOOPBACK = "flags=e08084b,c0<UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT>"


def hostname(args: list[str], world: World) -> str:
    """Print the host name; ``-s`` without the domain."""
    options, _ = flags.parse("hostname", args, "s")
    name = world.host.hostname
    return (name.partition(".")[0] if options else name) + "\n"


def ifconfig(args: list[str], world: World) -> str:
    """``ifconfig -a`` or ``ifconfig en0``."""
    wanted = args[0] if args else "-a"
    cards = [card for card in world.host.interfaces if wanted in ("-a", card["name"])]
    if not cards and wanted not in ("-a", "lo0"):
        raise CommandError(1, "0821-149 ifconfig: The interface does not exist.\n")
    text = "".join(_card(card) for card in cards)
    return text + (_loopback() if wanted in ("-a", "lo0") else "")


def _card(card: dict[str, str]) -> str:
    mask = addresses.number(card["mask"])
    last = addresses.broadcast(card["address"], card["mask"])
    return (
        f"{card['name']}: {_UP}\n"
        f"        inet {card['address']} netmask 0x{mask:08x} broadcast {last}\n"
        "         tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1\n"
    )


def _loopback() -> str:
    return (
        f"lo0: {_LOOPBACK}\n"
        "        inet 127.0.0.1 netmask 0xff000000 broadcast 127.255.255.255\n"
        "        inet6 ::1%1/128\n"
        "         tcp_sendspace 131072 tcp_recvspace 131072 rfc1323 1\n"
    )


def netstat(args: list[str], world: World) -> str:
    """``netstat -in`` (interfaces) and ``netstat -rn`` (routes)."""
    options, _ = flags.parse("netstat", args, "inrf:")
    letters = {letter for letter, _ in options}
    if "i" in letters:
        return _interfaces(world.host)
    if "r" in letters:
        return _routes(world.host)
    raise flags.usage("netstat", "this host knows -in and -rn")


def _interfaces(host: SimulatedHost) -> str:
    row = "{:<5} {:<5} {:<11} {:<17} {:>8} {:>5} {:>8} {:>5} {:>5}\n"
    lines = [
        row.format("Name", "Mtu", "Network", "Address", "Ipkts", "Ierrs", "Opkts", "Oerrs", "Coll")
    ]
    for link, card in enumerate(host.interfaces, start=2):
        net = addresses.short(addresses.network(card["address"], card["mask"]), card["mask"])
        pairs = [card["mac"][i : i + 2].lstrip("0") or "0" for i in range(0, 12, 2)]
        for network, address in ((f"link#{link}", ".".join(pairs).lower()), (net, card["address"])):
            lines.append(row.format(card["name"], "1500", network, address, 184467, 0, 97345, 0, 0))
    for network, address in (("link#1", ""), ("127", "127.0.0.1"), ("::1%1", "")):
        lines.append(row.format("lo0", "16896", network, address, 2113, 0, 2113, 0, 0))
    return "".join(lines)


def _routes(host: SimulatedHost) -> str:
    row = "{:<18} {:<17} {:<9} {:>3} {:>9} {:<8} {}\n"
    lines = [
        "Routing tables\n",
        row.format("Destination", "Gateway", "Flags", "Refs", "Use", "If", "Exp  Groups"),
        "\nRoute Tree for Protocol Family 2 (Internet):\n",
    ]
    for destination, gateway, interface in host.routes:
        lines.append(row.format(destination, gateway, "UG", 1, 4711, interface, "-      -"))
    for card in host.interfaces:
        net = addresses.network(card["address"], card["mask"])
        name = f"{addresses.short(net, card['mask'])}/{addresses.prefix(card['mask'])}"
        own = card["address"]
        lines.append(row.format(net, own, "UHSb", 0, 0, card["name"], "-      -   =>"))
        lines.append(row.format(name, own, "U", 6, 90210, card["name"], "-      -"))
        lines.append(row.format(own, "127.0.0.1", "UGHS", 0, 12, "lo0", "-      -"))
    lines.append(row.format("127/8", "127.0.0.1", "U", 4, 2113, "lo0", "-      -"))
    lines.append("\nRoute Tree for Protocol Family 24 (Internet v6):\n")
    lines.append(row.format("::1%1", "::1%1", "UH", 1, 12, "lo0", "-      -"))
    return "".join(lines)


def route(args: list[str], world: World) -> str:
    """``route add|change|delete DESTINATION GATEWAY``."""
    words = [word for word in args if word not in ("-n", "-net", "-host")]
    if len(words) < 2 or words[0] not in ("add", "change", "delete"):
        raise flags.usage("route", "add, change or delete, a destination and a gateway are needed")
    verb, destination = words[0], "default" if words[1] == "0" else words[1]
    gateway = words[2] if len(words) > 2 else ""
    host = world.edit_host()
    current = next((entry for entry in host.routes if entry[0] == destination), None)
    if verb == "delete":
        if current is None:
            raise _no_route()
        host.routes.remove(current)
        return f"{gateway or current[1]} net {destination}: gateway {gateway or current[1]}\n"
    card = _card_towards(host, gateway)
    if verb == "change" and current is None:
        raise _no_route()
    if verb == "add" and current is not None:
        raise CommandError(1, "0821-279 writing to routing socket: File exists\n")
    if current is not None:
        host.routes.remove(current)
    host.routes.append([destination, gateway, card])
    return f"{gateway} net {destination}: gateway {gateway}\n"


def _no_route() -> CommandError:
    return CommandError(1, "0821-279 writing to routing socket: The process does not exist.\n")


def _card_towards(host: SimulatedHost, gateway: str) -> str:
    if not addresses.is_address(gateway):
        raise CommandError(1, f"0821-277 {gateway}: bad value\n")
    for card in host.interfaces:
        net = addresses.network(card["address"], card["mask"])
        if addresses.network(gateway, card["mask"]) == net:
            return card["name"]
    raise CommandError(1, "0821-279 writing to routing socket: Cannot find a route to it.\n")


def no(args: list[str], world: World) -> str:
    """``no -o name`` and ``no -o name=value``."""
    options, _ = flags.parse("no", args, "o:p")
    text = ""
    for letter, word in options:
        if letter != "o":
            continue
        name, sign, value = word.partition("=")
        if name not in world.host.options:
            raise CommandError(1, f"1831-218 no: unknown option {name}\n")
        if sign:
            world.edit_host().options[name] = value
            text += f"Setting {name} to {value}\n"
        else:
            text += f"{name} = {world.host.options[name]}\n"
    return text
