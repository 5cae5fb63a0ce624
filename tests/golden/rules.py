"""Where our commands differ from xCAT's on purpose: by kind, each with its reason.

A rule looks at the lines of one side (see :mod:`.lines`) and takes away or rewrites those that its expression matches
completely.  ``{management}`` in an expression is the management node; ``{host:NAME}`` in what a line becomes is the host that
a name or an address leads to.  Rules are applied
in their order.  A rule that no run of tests/golden/nim needs is refused by the tests.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from xcat_aix_lab.sim.host import MANAGEMENT
from xcat_aix_lab.sim.store import Topology

RECORDED, OURS, BOTH = "recorded", "ours", "both"

_HOST = re.compile(r"\{host:([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of difference.

    ``becomes`` None takes a line away; ``commands`` are the commands that the rule is for, all if empty; ``when`` must match
    some line of the same side, as the rules before left it.
    """

    name: str
    side: str
    pattern: str
    reason: str
    becomes: str | None = None
    commands: tuple[str, ...] = ()
    when: str = ""

    def is_for(self, side: str, command: str) -> bool:
        """Whether it is about this side of a run of this command."""
        return self.side in (side, BOTH) and (not self.commands or command in self.commands)

    def applied(self, found: Sequence[str], topology: Topology) -> list[str]:
        """The lines, as this rule leaves them."""
        if self.when and not any(re.fullmatch(self.when, line) for line in found):
            return list(found)
        return [line for old in found for line in self._line(old, topology)]

    def _line(self, line: str, topology: Topology) -> Iterator[str]:
        match = re.fullmatch(_expression(self.pattern, topology), line)
        if match is None:
            yield line
        elif self.becomes is not None:
            yield _HOST.sub(lambda name: _owner(name[1], topology), match.expand(self.becomes))


@functools.cache
def _expression(pattern: str, topology: Topology) -> str:
    kinds = topology.kinds.items()
    management = next((re.escape(name) for name, kind in kinds if kind == MANAGEMENT), "")
    return pattern.replace("{management}", management)


def _owner(name: str, topology: Topology) -> str:
    found = topology.find(name)
    return found[0] if found else name


def apply(
    found: Iterable[str], side: str, command: str, topology: Topology, used: set[str]
) -> list[str]:
    """The lines of one side, as all rules leave them; ``used`` gets the names of the rules that did something."""
    lines = list(found)
    for rule in RULES:
        if rule.is_for(side, command) and (after := rule.applied(lines, topology)) != lines:
            used.add(rule.name)
            lines = after
    return lines


_MOVES = ("snmove",)

RULES: tuple[Rule, ...] = (
    # Who speaks
    Rule(
        "the management node's name",
        OURS,
        r"err (Error: |Warning: )\[{management}\]: (.*)",
        "the recording's client is in the daemon's process, whose own replies have no source",
        becomes=r"err \1\2",
    ),
    # How commands come to a host
    Rule(
        "xdsh of a program that stands in the record",
        RECORDED,
        r"run \S+ xdsh: (/\S+/)?(niminit|bootlist|rsync|nim|nim_master_setup)\b.*",
        "the program on the node logged itself; ours is begun there by the node's own agent, without ssh",
    ),
    Rule(
        "shell lines of programs that stand in the record",
        RECORDED,
        r"run \S+ sh: (/\S+/|\$XCATROOT/bin/)?"
        r"(nim|nim_master_setup|nimconfig|chnfsdom|cpcosi|inutoc|mknfsexp|rmnfsexp|bootlist|xcatchroot)\b.*",
        "the program logged itself; ours is run by the host's own agent, as argv without a shell",
    ),
    Rule(
        "requests to service nodes",
        RECORDED,
        r"run \S+ dispatch: .*",
        "xCAT hands a command to the service nodes' daemons; ours asks their agents for single operations",
    ),
    Rule(
        "looking",
        BOTH,
        r"run \S+ (sh: |xdsh: )?(/\S+/|\$XCATROOT/bin/)?(lsnim|ifconfig|netstat|lssrc|lslpp|df|du|no|hostname|oslevel|sync|litefile|litetree)\b.*",
        "what only looks, or is a fake that prints nothing, changes nothing; agents look once per job, as they need",
    ),
    Rule(
        "looking again",
        OURS,
        r"run \S+ (nimclient -l .*|bootlist -m normal -o|sysdumpdev -l)",
        "our steps are verified: the agent asks whether the effect is there; xCAT does not look",
    ),
    Rule(
        "the client lets its master push",
        OURS,
        r"run \S+ nimclient -p|state \S+ \S+ cpuid = .*|state \S+ \S+ control = .*",
        "after niminit our agent runs nimclient -p, so that the new master may push, which notes cpuid and control; xCAT does not"
        " (docs/facts/nim.md, Client and master set-up)",
        commands=_MOVES,
    ),
    Rule(
        "who the master is",
        BOTH,
        r"run (\S+) niminit -a master=(\S+) -a (name=\S+)",
        "we name the master as the node knows it (the new xcatmaster), xCAT by the service node's name: the same host",
        becomes=r"run \1 niminit -a master={host:\2} -a \3",
    ),
    # The simulator and the recorded fakes
    Rule(
        "counts of allocations",
        BOTH,
        r"state \S+ \S+ alloc_count = .*",
        "they follow from what the machines hold, which is compared; the fake does not count boot",
    ),
    Rule(
        "how the last operation went",
        OURS,
        r"state \S+ \S+ ((Cstate|Rstate)_result|date_updated) = .*",
        "NIM notes the result of operations; the fake does not",
    ),
    Rule(
        "what a resource was before",
        BOTH,
        r"state \S+ \S+ prev_state = (unavailable for use|verification is being performed)",
        "NIM notes that it was checked, the fake does not",
    ),
    Rule(
        "a new master's own objects",
        BOTH,
        r"state \S+ (master|master_net|boot|nim_script) (?!is )\S+ = .*",
        "a NIM master that is set up has many attributes of its own; the fake makes the least",
    ),
    Rule(
        "what NIM finds out of a SPOT",
        OURS,
        r"state \S+ \S+ (plat_defined|version|release|mod|oslevel_r|oslevel_s|if_supported|arch|simages) = .*",
        "NIM looks into a SPOT or lpp_source that is defined and notes its level; the fake does not",
    ),
    Rule(
        "the source of a resource",
        RECORDED,
        r"state \S+ \S+ (source|size|configdump|sparse_paging|mk_image) = .*",
        "arguments of an operation, which the fake keeps as attributes",
    ),
    Rule(
        "the network of an interface",
        BOTH,
        r"state (\S+ \S+) (if\d+) = \S+ (.*)",
        "find_net is resolved by NIM and kept by the fake",
        becomes=r"state \1 \2 = NET \3",
    ),
    Rule(
        "net_definition",
        RECORDED,
        r"state \S+ \S+ net_definition = .*",
        "an argument of find_net, which the fake keeps as an attribute",
    ),
    Rule(
        "nim_script",
        OURS,
        r"state \S+ \S+ nim_script = nim_script",
        "NIM allocates it itself where a script is; the fake does not",
    ),
    # Files that are written by a shell line there and by the agent here
    Rule(
        "xcatinfo by echo",
        RECORDED,
        r'run (\S+) xdsh: echo "(XCATSERVER=\S+)" > (/etc/xcatinfo)',
        "the agent writes the file itself and keeps other lines",
        becomes=r"text \1 \3 \2",
    ),
    Rule(
        "shell lines about files",
        RECORDED,
        r"run \S+ (sh|xdsh): (/\S+/)?(cp|mkdir|mvdir|chmod|chgrp|chown|rm|sed|cat|echo|ls|find|touch|ln)\b.*",
        "which files are written is compared as such; agents write and look without a shell",
    ),
    Rule(
        "copies",
        RECORDED,
        r"run \S+ sh: \$XCATROOT/bin/(xdcp|prsync) .*",
        "which files come to a host is compared as such; agents take content from each other, without ssh",
    ),
    Rule(
        "temporary files",
        RECORDED,
        r"file \S+ /tmp/.*",
        "nobody needs them afterwards",
    ),
    Rule(
        "niminfo",
        OURS,
        r"(file|text) \S+ /etc/niminfo(\.\S+)?( .*)?",
        "the recorded niminit is a fake that writes no file; the simulated one does, and our agent keeps the old one aside",
    ),
    Rule(
        "simulated state below /var",
        OURS,
        r"file \S+ /var/log/xcat/postscripts.log",
        "the simulated postscripts note there what they were run with",
    ),
    Rule(
        "NIM's own boot files",
        BOTH,
        r"text \S+ (/etc/bootptab|/tftpboot/\S+\.info) (?!.*BASECUST_REMOVAL).*",
        "fake and simulator write them each in their way; what xCAT changes in them afterwards is compared",
    ),
    # updatenode
    Rule(
        "updatenode -s",
        RECORDED,
        r"run \S+ sub: updatenode -s",
        "xCAT gives the nodes ssh keys and certificates again; our agents have their own, which do not change",
        commands=_MOVES,
    ),
    Rule(
        "updatenode -P",
        RECORDED,
        r"run (\S+) sub: updatenode -P (\S+)",
        "the agent runs the postscripts itself, in the same order",
        becomes=r"run \1 postscripts \2",
    ),
    # Statelite and shared installs, which are not in this version (docs/facts/snmove.md, Statelite and shared installs)
    Rule(
        "statelite directories",
        RECORDED,
        r"run \S+ rsync .*|db statelite \S+ statemnt: .*",
        "a move copies and re-points statelite directories; ours leaves them and names the rows concerned",
        commands=_MOVES,
    ),
    Rule(
        "files in a shared_root",
        RECORDED,
        r"file \S+ \S+/\.client_data/\S+|db nodetype \S+ profile: -> \S+",
        "with sharedinstall=sns a move makes the tables in the shared root anew, copies .client_data and notes the profile;"
        " ours leaves them and names the nodes concerned",
        commands=_MOVES,
    ),
    Rule(
        "what is not in this version is said",
        OURS,
        r"err Warning: .*: not in this version|err Warning: .*: statelite is not in this version",
        "ours says what it leaves",
        commands=_MOVES,
    ),
    Rule(
        "status of -l",
        OURS,
        r"rc 1",
        "-l alone moves nothing and is refused: see statelite directories",
        becomes="rc 0",
        commands=_MOVES,
        when=r"err Error: cannot synchronise statelite directories \(-l\): .*",
    ),
    Rule(
        "message of -l",
        OURS,
        r"err Error: cannot synchronise statelite directories \(-l\): .*",
        "-l alone moves nothing and is refused, in words of ours",
        commands=_MOVES,
    ),
    # Messages and the exit status
    Rule(
        "readiness",
        OURS,
        r"err Warning: \S+: \S+ (has no NIM resource|does not know the node as a NIM machine|has not).*; run: .*",
        "ours asks the new service node before anything changes and tells what it lacks; xCAT asks nothing",
        commands=_MOVES,
    ),
    Rule(
        "refusals as plain data",
        RECORDED,
        r"out (-P and -i flags cannot be specified at the same time\.)",
        "xCAT sends most refusals as plain data; ours are errors",
        becomes=r"err Error: \1",
        commands=_MOVES,
    ),
    Rule(
        "status of refusals",
        RECORDED,
        r"rc 0",
        "where xCAT says an error and ends with 0, ours ends with 1",
        becomes="rc 1",
        commands=_MOVES,
        when=r"err Error: .*",
    ),
    Rule(
        "a node that does not answer",
        OURS,
        r"err (\S+): \[\S+\]: Error: .*cannot connect to .*",
        "ours says which step was not done and which ways were tried",
        becomes=r"err \1: Error: no answer",
    ),
    Rule(
        "status of a part",
        OURS,
        r"rc 2",
        "ours ends with 2 where some nodes are finished or the database is written and others are not; xCAT knows only 1",
        becomes="rc 1",
        commands=_MOVES,
        when=r"err Error: \d+ of \d+ nodes? not finished, .*",
    ),
    Rule(
        "status of nodes that cannot boot yet",
        OURS,
        r"rc 3",
        "ours ends with 3 where all is done, but the new service node is not ready for diskless nodes: see readiness;"
        " xCAT does not look, and ends with 0",
        becomes="rc 0",
        commands=_MOVES,
        when=r"err Error: \S+: moved, but cannot boot from there yet",
    ),
    Rule(
        "how a move ends",
        OURS,
        r"out (Moved to \S+|Skipped on the node itself|to be network-booted from the new service node|This move can be taken back): .*"
        r"|err Error: \d+ of \d+ nodes? not finished, .*|err Error: \S+: moved, but cannot boot from there yet",
        "ours says what was done, what is left to do and how it is taken back; xCAT says nothing at the end",
        commands=_MOVES,
    ),
)
