"""``client.bootlist@1``: boot next time from another server.

The device is the adapter of the interface that holds the node's address (docs/facts/aix.md,
Boot list).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from xcat_aix_agent.host import Host, Report
from xcat_aix_agent.nim import commands, netparse
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import SetBootlist

_LIMIT = 60.0


def run(operation: SetBootlist, host: Host, report: Report) -> Mapping[str, Any]:
    """Raises ``NOT_FOUND`` (no interface holds the address) or ``COMMAND_FAILED``."""
    device = _device(operation.client, host)
    done = host.commands.run(commands.set_bootlist(device, operation), timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure("cannot set the boot list")
    report(f"the next boot is over {device} from {operation.server}")
    return {"device": device}


def probe(operation: SetBootlist, host: Host) -> Probe:
    """DONE if the first entry is that device with that server.

    Whether AIX prints the addresses is not confirmed (``selfcheck`` looks): where it prints the
    device alone, the job's own record decides.
    """
    device, values = _first_entry(host)
    text = f"first in the boot list: {device or 'nothing'}"
    if device != _device(operation.client, host):
        return Probe(Verdict.NOT_DONE, text)
    if "bserver" not in values:
        verdict = Verdict.DONE if host.finished(operation) else Verdict.NOT_DONE
        return Probe(verdict, f"{text}, which does not say from where")
    wanted = {"bserver": operation.server, "client": operation.client}
    is_done = all(values.get(name) == value for name, value in wanted.items())
    text += f" from {values['bserver']}"
    return Probe(Verdict.DONE if is_done else Verdict.NOT_DONE, text)


def _device(address: str, host: Host) -> str:
    done = host.commands.run(commands.show_interfaces(), timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure("cannot read the interfaces")
    interface = netparse.interface_of(done.stdout, address)
    if interface is None:
        raise AgentError(ErrorCode.NOT_FOUND, f"no interface of this host holds {address}")
    device = netparse.adapter_of(interface)
    if device is None:
        text = f"cannot tell the adapter of the interface {interface}, which holds {address}"
        raise AgentError(ErrorCode.NOT_FOUND, text)
    return device


def _first_entry(host: Host) -> Tuple[str, Mapping[str, str]]:
    done = host.commands.run(commands.show_bootlist(), timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure("cannot read the boot list")
    return entry(done.stdout)


def entry(text: str) -> Tuple[str, Mapping[str, str]]:
    """Device and ``name=value`` pairs of the first line of ``bootlist -o``."""
    words = (text.splitlines() or [""])[0].split()
    values: Dict[str, str] = {}
    for word in words[1:]:
        name, _, value = word.partition("=")
        values[name] = value
    return (words[0] if words else "", values)
