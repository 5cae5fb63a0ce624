"""What is done on a NIM client: what each operation's step is called, and the operation that takes it back.

Owns: one block for each operation that a client's agent carries out as a job.  Pure; how such a step is looked at and
done is in :mod:`.agent`, the same for all.  Must not: know a command; what that knows of the way back is a
:class:`WayBack`.
Facts: docs/facts/snmove.md, Undo; On the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from xcat_aix.plan.kinds import Begun, NoReverse, Reverse
from xcat_aix.plan.model import Step
from xcat_aix.plan.wayback import WayBack
from xcat_aix_proto.operations import (
    ChangeDefaultRoute,
    Operation,
    RepointClient,
    RunPostscripts,
    SetBootlist,
    SetDumpDevice,
    SetXcatServer,
)

from .words import KindWords, OperationT, turned

_NO_SERVER = NoReverse("its old service node is not known")


def _towards(of: type[OperationT], turn: Callable[[OperationT, WayBack], Operation]) -> Reverse:
    """Taken back by an operation towards the service node of before."""

    def reverse(begun: Begun) -> Step | NoReverse | None:
        known = begun.known
        if not isinstance(known, WayBack):
            return _NO_SERVER
        return turned(of, lambda done: turn(done, known))(begun)

    return reverse


_REPOINT = KindWords(
    title=lambda args: f"make it a NIM client of {args['master']}",
    reverse=_towards(RepointClient, lambda done, way: replace(done, master=way.master)),
)

_XCATINFO = KindWords(
    title=lambda args: f"set XCATSERVER={args['server']} in /etc/xcatinfo",
    reverse=_towards(SetXcatServer, lambda done, way: replace(done, server=way.address)),
)

_DEFAULT_ROUTE = KindWords(
    title=lambda args: f"if {args['old']} is a default gateway: route change default {args['new']}",
    reverse=turned(ChangeDefaultRoute, lambda done: ChangeDefaultRoute(done.new, done.old)),
)


def _boot_from(done: SetBootlist, way: WayBack) -> SetBootlist:
    gateway = way.address if done.gateway == way.left else done.gateway
    return replace(done, server=way.address, gateway=gateway)


_BOOTLIST = KindWords(
    title=lambda args: (
        f"boot from {args['server']}"
        + (f" by gateway {args['gateway']}" if args.get("gateway") else "")
    ),
    reverse=_towards(SetBootlist, _boot_from),
)

_DUMP_DEVICE = KindWords(
    title=lambda args: f"set the dump device to {args['target']} on {args['server']}",
    reverse=_towards(SetDumpDevice, lambda done, way: replace(done, server=way.address)),
)

_POSTSCRIPTS = KindWords(
    title=lambda args: f"run postscripts {','.join(args['scripts'])}",
    reverse=_towards(RunPostscripts, lambda done, way: replace(done, master=way.master)),
)

#: By the operation's kind; those of older plans are called, and taken back, as they are now.
WORDS: Mapping[str, KindWords] = {
    RepointClient.kind: _REPOINT,
    SetXcatServer.kind: _XCATINFO,
    ChangeDefaultRoute.kind: _DEFAULT_ROUTE,
    SetBootlist.kind: _BOOTLIST,
    SetDumpDevice.kind: _DUMP_DEVICE,
    RunPostscripts.kind: _POSTSCRIPTS,
    "client.postscripts@1": _POSTSCRIPTS,
}
