"""``xcat-aix-agent selfcheck``: which assumptions about this host hold.  Changes nothing.

Owns: running the checks of :mod:`.checks` and telling what they found.  Exit code 0 if none does not
hold, else 1; what cannot be told is no failure.
"""

from __future__ import annotations

import json
from typing import Optional, Sequence, TextIO

from xcat_aix_proto import codec
from xcat_aix_proto.errors import AgentError

from .checks import CHECKS, Check, Finding, Holds, Subject
from .clock import SystemClock
from .config import AgentConfig
from .host import Host, LimitedCommands
from .shell import Commands, Subprocesses

#: Seconds all commands of all checks may take together.
LIMIT = 300.0


def main(
    config: AgentConfig, *, as_json: bool, output: TextIO, commands: Optional[Commands] = None
) -> int:
    """Print the findings; the answer is the exit code."""
    clock = SystemClock()
    limited = LimitedCommands(commands or Subprocesses(config.path), clock, LIMIT)
    host = Host(config.node, limited, config.root, config.postscripts, clock)
    findings = [run(check, Subject(host, config)) for check in CHECKS]
    output.write(_as_json(findings) if as_json else _as_text(findings))
    return 1 if any(found.result is Holds.FAILS for found in findings) else 0


def run(check: Check, subject: Subject) -> Finding:
    """One check; what stops it is told as its finding."""
    try:
        seen, result = check.look(subject)
    except AgentError as error:
        seen, result = error.message, Holds.UNKNOWN
    return Finding(check.name, check.source, check.expected, seen, result)


def _as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([codec.to_wire(found) for found in findings], indent=1) + "\n"


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for found in findings:
        lines.append(f"{found.result.value:<13} {found.name}: {found.expected} [{found.source}]")
        lines.append(f"{'':<13} seen: {found.seen}")
    counts = {kind: sum(found.result is kind for found in findings) for kind in Holds}
    lines.append(", ".join(f"{count} {kind.value}" for kind, count in counts.items()))
    return "\n".join(lines) + "\n"
