"""``host.facts@1``: interfaces, routes, OS level, free space, niminfo.

AIX's own commands first; where one is missing, psutil if it is installed, or the standard library.
"""

from __future__ import annotations

import os
import platform
import socket
from typing import List, Optional, Tuple

from xcat_aix_agent import __version__
from xcat_aix_agent.host import Host
from xcat_aix_agent.nim import commands, netparse, niminfo
from xcat_aix_proto import facts
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import HostFacts

_LIMIT = 30.0


def answer(_operation: HostFacts, host: Host) -> facts.HostReport:
    """The facts; raises :class:`AgentError` where a fact cannot be had at all."""
    return facts.HostReport(
        node=host.node,
        hostname=_hostname(host),
        os_level=_os_level(host),
        interfaces=_interfaces(host),
        routes=netparse.routes(_needed(commands.show_routes(), host)),
        space=_space(host),
        niminfo=niminfo.read(host),
        agent_version=__version__,
    )


def _needed(argv: List[str], host: Host) -> str:
    done = host.commands.run(argv, timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure(f"cannot read {' '.join(argv)}")
    return done.stdout


def _output(argv: List[str], host: Host) -> Optional[str]:
    """The output, None where this host has no such command."""
    try:
        return _needed(argv, host)
    except AgentError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None


def _hostname(host: Host) -> str:
    found = _output(commands.show_hostname(), host)
    return found.strip() if found is not None else socket.gethostname()


def _os_level(host: Host) -> str:
    found = _output(commands.show_os_level(), host)
    return found.strip() if found is not None else f"{platform.system()} {platform.release()}"


def _interfaces(host: Host) -> Tuple[facts.Interface, ...]:
    found = _output(commands.show_addresses(), host)
    return netparse.interfaces(found) if found is not None else _interfaces_by_psutil()


def _interfaces_by_psutil() -> Tuple[facts.Interface, ...]:
    try:
        import psutil  # noqa: PLC0415 - optional, and only where ifconfig is missing
    except ImportError:
        text = "cannot tell this host's addresses: it has neither ifconfig nor psutil"
        raise AgentError(ErrorCode.NOT_FOUND, text) from None
    return tuple(
        facts.Interface(name, entry.address.partition("%")[0], entry.netmask or "")
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    )


def _space(host: Host) -> Tuple[facts.Space, ...]:
    found = netparse.space(_output(commands.show_space(), host) or "")
    return found or (_space_of_root(host),)


def _space_of_root(host: Host) -> facts.Space:
    figures = os.statvfs(host.root)
    return facts.Space("/", figures.f_bavail * figures.f_frsize // 2**20)
