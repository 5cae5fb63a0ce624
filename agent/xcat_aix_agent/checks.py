"""The assumptions about AIX and NIM that a parser or an operation of this agent relies on.

One named check for each fact that docs/facts marks as assumed, or knows from samples alone, or that has
no source: so that the first real host can confirm it.  Every look is read-only.  Owns: what is
expected, where the expectation comes from, and how to see it.
"""

from __future__ import annotations

import enum
import fcntl
import re
import shutil
import ssl
import sys
import tempfile
from dataclasses import dataclass
from typing import Callable, List, Tuple

from xcat_aix_proto import names
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.facts import NimObject
from xcat_aix_proto.identity import Role

from .config import AgentConfig
from .host import Host
from .nim import commands, lsnim, netparse, niminfo
from .operations import bootlist
from .shell import Completed

_LIMIT = 60.0
_NOBODY = "xcat-aix-selfcheck-none"
_LOCK_CODE = """
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("held")
else:
    print("free")
"""


class Holds(enum.Enum):
    """What a check found."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Subject:
    """What a check looks at."""

    host: Host
    config: AgentConfig


Seen = Tuple[str, Holds]


@dataclass(frozen=True)
class Check:
    """One assumption: ``source`` is where it comes from and how sure that is."""

    name: str
    source: str
    expected: str
    look: Callable[[Subject], Seen]


@dataclass(frozen=True)
class Finding:
    """One check after the look."""

    name: str
    source: str
    expected: str
    seen: str
    result: Holds


def _judge(seen: str, holds: bool) -> Seen:
    return seen, Holds.HOLDS if holds else Holds.FAILS


def _unknown(why: str) -> AgentError:
    return AgentError(ErrorCode.NOT_FOUND, why)


def _run(subject: Subject, argv: List[str]) -> Completed:
    return subject.host.commands.run(argv, timeout=_LIMIT)


def _output(subject: Subject, argv: List[str]) -> str:
    done = _run(subject, argv)
    if done.rc != 0:
        raise _unknown(f"{' '.join(argv)} ended with {done.rc}: {lsnim.message(done.stderr)}")
    return done.stdout


def _as_master(subject: Subject) -> str:
    """The output of ``lsnim``; stops the check where this host is no NIM master."""
    if subject.config.role is not Role.SN:
        raise _unknown("this host is no service node")
    return _output(subject, commands.lsnim())


def _as_client(subject: Subject) -> str:
    values = niminfo.read(subject.host)
    if values is None:
        raise _unknown(f"there is no {niminfo.FILE}")
    if values.get("NIM_CONFIGURATION") == "master":
        raise _unknown("this host is a NIM master, no client")
    return values.get("NIM_NAME", "")


def _machines(subject: Subject) -> Tuple[NimObject, ...]:
    rows = lsnim.listing(_as_master(subject))
    found = [name for name, kind, _ in rows if kind == "machines"][:20]
    if not found:
        raise _unknown("NIM knows no machines here")
    return lsnim.stanzas(_output(subject, commands.lsnim_long(found)))


# NIM.


def _lsnim_columns(subject: Subject) -> Seen:
    lines = [line for line in _as_master(subject).splitlines() if line.strip()]
    odd = [line for line in lines if len(line.split()) != 3 or line[0].isspace()]
    return _judge(odd[0] if odd else f"{len(lines)} lines of three words", not odd)


def _master_first(subject: Subject) -> Seen:
    rows = lsnim.listing(_as_master(subject))
    return _judge(
        " ".join(rows[0]) if rows else "nothing", rows[:1] == (("master", "machines", "master"),)
    )


def _object_names(subject: Subject) -> Seen:
    odd = []
    rows = lsnim.listing(_as_master(subject))
    for name, _, _ in rows:
        try:
            names.nim_name(name)
        except AgentError:
            odd.append(name)
    return _judge(", ".join(odd) or f"{len(rows)} names, all of that form", not odd)


def _several_objects(subject: Subject) -> Seen:
    wanted = [name for name, _, _ in lsnim.listing(_as_master(subject))][:3]
    if len(wanted) < 2:
        raise _unknown("NIM knows fewer than two objects here")
    found = [entry.name for entry in lsnim.stanzas(_output(subject, commands.lsnim_long(wanted)))]
    return _judge(f"asked for {', '.join(wanted)}, got {', '.join(found)}", found == wanted)


def _stanza_attributes(subject: Subject) -> Seen:
    odd = [entry.name for entry in _machines(subject) if entry.get("class") != "machines"]
    return _judge(", ".join(odd) or "class = machines in every stanza", not odd)


def _missing_object(subject: Subject) -> Seen:
    _as_master(subject)
    done = _run(subject, commands.lsnim_long([_NOBODY]))
    text = f"exit code {done.rc}, stderr {done.stderr.strip()!r}, stdout {done.stdout.strip()!r}"
    return _judge(text, done.rc == 53 and "0042-053" in done.stderr and not done.stdout.strip())


def _partly_missing(subject: Subject) -> Seen:
    known = next(iter(lsnim.listing(_as_master(subject))), ("master", "", ""))[0]
    done = _run(subject, commands.lsnim_long([known, _NOBODY]))
    shown = [entry.name for entry in lsnim.stanzas(done.stdout)]
    return _judge(f"exit code {done.rc}, stanzas of {', '.join(shown) or 'none'}", shown == [known])


def _interface_host(subject: Subject) -> Seen:
    machines = [entry for entry in _machines(subject) if entry.get("if1")]
    if not machines:
        raise _unknown("no machine here has an if1")
    lost = [
        name
        for entry in machines
        for name in lsnim.hosts(entry)
        if not subject.host.addresses(name)
    ]
    values = f"if1 = {machines[0].get('if1')}"
    return _judge(f"{values}; without an address: {', '.join(lost) or 'none'}", not lost)


def _colon_interface(subject: Subject) -> Seen:
    _as_master(subject)
    text = _output(subject, ["lsnim", "-a", "if1", "-Z", "master"])
    row = lsnim.colon_row(text, "master", ["if1"])
    words = lsnim.interface_fields((row or {}).get("if1", ""))
    return _judge(repr(text.strip()), text.startswith("#") and len(words) >= 2)


def _client_stanza(subject: Subject) -> Seen:
    name = _as_client(subject)
    done = _run(subject, commands.ask_master(name))
    found = [entry.name for entry in lsnim.stanzas(done.stdout)]
    text = f"exit code {done.rc}: {', '.join(found) or lsnim.message(done.stdout, done.stderr)}"
    return _judge(text, done.rc == 0 and found == [name])


def _niminfo_client(subject: Subject) -> Seen:
    name = _as_client(subject)
    values = niminfo.read(subject.host) or {}
    wanted = ("NIM_NAME", "NIM_MASTER_HOSTNAME", "NIM_CONFIGURATION")
    lost = [key for key in wanted if not values.get(key)]
    return _judge(f"NIM_NAME={name}; without a value: {', '.join(lost) or 'none'}", not lost)


def _niminfo_master_resolves(subject: Subject) -> Seen:
    _as_client(subject)
    master = (niminfo.read(subject.host) or {}).get("NIM_MASTER_HOSTNAME", "")
    found = ", ".join(sorted(subject.host.addresses(master)))
    is_known = bool(found) or netparse.is_address(master)
    return _judge(f"{master or 'no name'} is {found or 'known to nobody'}", is_known)


def _niminfo_master(subject: Subject) -> Seen:
    _as_master(subject)
    value = (niminfo.read(subject.host) or {}).get("NIM_CONFIGURATION", "nothing")
    return _judge(f"NIM_CONFIGURATION={value}", value == "master")


def _only_by_changing(_place: Subject) -> Seen:
    return "to see it would change this host; watch the first move of a test node", Holds.UNKNOWN


# Commands of AIX.


def _commands_found(wanted: Tuple[str, ...]) -> Callable[[Subject], Seen]:
    def look(subject: Subject) -> Seen:
        path = subject.config.path
        lost = [name for name in wanted if shutil.which(name, path=path) is None]
        return _judge(f"not on {path}: {', '.join(lost) or 'none'}", not lost)

    return look


def _addresses(subject: Subject) -> Seen:
    found = netparse.interfaces(_output(subject, commands.show_addresses()))
    shown = ", ".join(f"{entry.name} {entry.address}/{entry.netmask}" for entry in found[:4])
    return _judge(shown or "no address", bool(found))


def _address_field(subject: Subject) -> Seen:
    found = netparse.interfaces(_output(subject, commands.show_addresses()))
    held = {entry.address for entry in found if not entry.name.startswith("lo")}
    held = {address for address in held if ":" not in address}
    if not held:
        raise _unknown("this host has no address but loopback")
    text = _output(subject, commands.show_interfaces())
    lost = sorted(address for address in held if netparse.interface_of(text, address) is None)
    return _judge(f"not in the fourth field: {', '.join(lost) or 'none'}", not lost)


def _adapters(subject: Subject) -> Seen:
    found = netparse.interfaces(_output(subject, commands.show_addresses()))
    cards = sorted({entry.name for entry in found if not entry.name.startswith("lo")})
    odd = [name for name in cards if netparse.adapter_of(name) is None]
    pairs = ", ".join(f"{name} -> {netparse.adapter_of(name)}" for name in cards)
    return _judge(pairs or "no interface", bool(cards) and not odd)


def _route_columns(subject: Subject) -> Seen:
    text = _output(subject, commands.show_routes())
    header = next((line for line in text.splitlines() if line.startswith("Destination")), "")
    wanted = ["Destination", "Gateway", "Flags", "Refs", "Use", "If"]
    default = ", ".join(netparse.default_gateways(text)) or "none"
    return _judge(f"{header.strip()}; default gateways {default}", header.split()[:6] == wanted)


def _boot_entry(subject: Subject) -> Seen:
    text = _output(subject, commands.show_bootlist())
    device, values = bootlist.entry(text)
    if not device.startswith(("ent", "hfi")):
        raise _unknown(f"the boot list begins with {device or 'nothing'}, not with an adapter")
    return _judge(text.splitlines()[0], {"bserver", "client"} <= set(values))


def _level(subject: Subject) -> Seen:
    text = _output(subject, commands.show_os_level()).strip()
    return _judge(text, re.match(r"\d{4}-\d\d-\d\d-\d{4}\Z", text) is not None)


def _space_columns(subject: Subject) -> Seen:
    text = _output(subject, commands.show_space())
    header = text.splitlines()[0].split() if text else []
    return _judge(
        " ".join(header), header[1:4] == ["MB", "blocks", "Free"] and bool(netparse.space(text))
    )


def _postscripts(subject: Subject) -> Seen:
    path = subject.host.file(subject.config.postscripts)
    return _judge(f"{path} is {'there' if path.is_dir() else 'missing'}", path.is_dir())


# Python on AIX.


def _locks(subject: Subject) -> Seen:
    with tempfile.NamedTemporaryFile() as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen = _output(subject, [sys.executable, "-c", _LOCK_CODE, file.name]).strip()
    return _judge(f"the other process found it {seen}", seen == "held")


def _tls(_place: Subject) -> Seen:
    seen = f"{ssl.OPENSSL_VERSION}, ALPN {ssl.HAS_ALPN}, TLS 1.2 {ssl.HAS_TLSv1_2}, 1.3 {ssl.HAS_TLSv1_3}"
    return _judge(seen, ssl.HAS_ALPN and (ssl.HAS_TLSv1_2 or ssl.HAS_TLSv1_3))


_SN_COMMANDS = ("lsnim", "nim")
_CN_COMMANDS = ("niminit", "nimclient", "netstat", "ifconfig", "route", "bootlist", "oslevel", "df")
_DUMP_COMMANDS = ("c_disc_target", "c_config_dump", "mkdev", "sysdumpdev")


def _by_role(subject: Subject) -> Seen:
    extra = _SN_COMMANDS if subject.config.role is Role.SN else ()
    return _commands_found(_CN_COMMANDS + extra)(subject)


CHECKS: Tuple[Check, ...] = (
    Check(
        "lsnim-columns",
        "docs/facts/nim.md, lsnim",
        "name, class and type per line, no header",
        _lsnim_columns,
    ),
    Check(
        "lsnim-master-first",
        "docs/facts/nim.md, lsnim",
        "the first object is the master itself",
        _master_first,
    ),
    Check(
        "nim-names",
        "docs/facts/nim.md, Commands, exit codes and messages",
        "letters, digits, _ . -; at most 39 characters",
        _object_names,
    ),
    Check(
        "lsnim-several",
        "docs/facts/nim.md, Commands, exit codes and messages",
        "lsnim -l a b prints the stanzas one after the other, as asked",
        _several_objects,
    ),
    Check(
        "lsnim-stanza",
        "docs/facts/nim.md, lsnim",
        "'name:' and indented 'attribute = value' lines",
        _stanza_attributes,
    ),
    Check(
        "lsnim-missing",
        "docs/facts/nim.md, Commands, exit codes and messages",
        "exit code 53, 0042-053 on standard error, nothing else",
        _missing_object,
    ),
    Check(
        "lsnim-partly-missing",
        "no source",
        "a missing name does not hide the stanzas of the others",
        _partly_missing,
    ),
    Check(
        "lsnim-if",
        "docs/facts/nim.md, lsnim",
        "the second word of if<n> is a host name that resolves",
        _interface_host,
    ),
    Check(
        "lsnim-z-if",
        "docs/facts/nim.md, lsnim",
        "-Z splits if1 into fields below a # header",
        _colon_interface,
    ),
    Check(
        "niminfo-master",
        "docs/facts/nim.md, The file niminfo",
        "a master's niminfo says NIM_CONFIGURATION=master",
        _niminfo_master,
    ),
    Check(
        "niminfo-client",
        "docs/facts/nim.md, The file niminfo",
        "niminfo holds NIM_NAME, NIM_MASTER_HOSTNAME, NIM_CONFIGURATION",
        _niminfo_client,
    ),
    Check(
        "niminfo-master-name",
        "docs/facts/nim.md, The file niminfo",
        "NIM_MASTER_HOSTNAME is a name or address this host resolves",
        _niminfo_master_resolves,
    ),
    Check(
        "nimclient-query",
        "docs/facts/nim.md, Client and master set-up",
        "nimclient -l -l <own name> shows the own object",
        _client_stanza,
    ),
    Check(
        "niminit-rebuild",
        "docs/facts/nim.md, Client and master set-up",
        "niminit without niminfo writes it and registers nothing",
        _only_by_changing,
    ),
    Check(
        "nimclient-push",
        "docs/facts/nim.md, Client and master set-up",
        "nimclient -p may be run again and only lets the master push",
        _only_by_changing,
    ),
    Check(
        "route-change",
        "docs/facts/aix.md, Routes",
        "route change default GATEWAY replaces the default route",
        _only_by_changing,
    ),
    Check(
        "dump-discovery",
        "docs/facts/aix.md, Dump device",
        "c_disc_target -a operation=discover prints the name of the hdisk",
        _only_by_changing,
    ),
    Check(
        "commands",
        "docs/facts/snmove.md, On the nodes",
        "the commands the operations run are on the configured path",
        _by_role,
    ),
    Check(
        "dump-commands",
        "docs/facts/aix.md, Dump device",
        "the commands of the dump device are on the configured path",
        _commands_found(_DUMP_COMMANDS),
    ),
    Check(
        "ifconfig",
        "docs/facts/aix.md, Interfaces and adapters",
        "ifconfig -a shows inet ADDRESS netmask MASK",
        _addresses,
    ),
    Check(
        "netstat-in",
        "docs/facts/aix.md, Interfaces and adapters",
        "the address is the fourth field of netstat -in",
        _address_field,
    ),
    Check(
        "adapters",
        "docs/facts/aix.md, Interfaces and adapters",
        "en<n> is ent<n>, et<n> is ent<n>, hf<n> is hfi<n>",
        _adapters,
    ),
    Check(
        "netstat-rn",
        "docs/facts/aix.md, Routes",
        "Destination Gateway Flags Refs Use If",
        _route_columns,
    ),
    Check(
        "bootlist",
        "no source",
        "bootlist -o prints bserver= and client= after an adapter",
        _boot_entry,
    ),
    Check(
        "oslevel", "docs/facts/aix.md, Other commands", "oslevel -s prints vvrr-tl-sp-yyww", _level
    ),
    Check(
        "df",
        "docs/facts/aix.md, File systems",
        "df -m: Filesystem, MB blocks, Free, ..., Mounted on",
        _space_columns,
    ),
    Check("postscripts", "no source", "the postscripts directory is there", _postscripts),
    Check("lockf", "docs/facts/aix.md, Python", "a lockf lock is seen by another process", _locks),
    Check("tls", "docs/facts/aix.md, Python", "Python's ssl has ALPN and TLS 1.2", _tls),
)
