"""``client.xcatinfo@1``: ``XCATSERVER=<address>`` in /etc/xcatinfo; every other line stays."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from xcat_aix_agent import files
from xcat_aix_agent.host import Host, Report
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import SetXcatServer

FILE = "/etc/xcatinfo"
_KEY = "XCATSERVER="


def run(operation: SetXcatServer, host: Host, report: Report) -> Mapping[str, Any]:
    """Raises ``NO_SPACE``, and then the file is as it was."""
    path = host.file(FILE)
    with files.disk_errors(f"write {FILE}"):
        text = files.read(path) or ""
        before = server(text)
        files.replace(path, with_server(text, operation.server), sync=host.sync)
    report(f"{FILE}: {_KEY}{operation.server} (before: {before or 'nothing'})")
    return {"before": before or ""}


def probe(operation: SetXcatServer, host: Host) -> Probe:
    """DONE if the file names the server."""
    found = server(files.read(host.file(FILE)) or "")
    verdict = Verdict.DONE if found == operation.server else Verdict.NOT_DONE
    return Probe(verdict, f"{FILE} names {found or 'no server'}")


def server(text: str) -> Optional[str]:
    """The server the file names; the last line counts, as for a shell that sources it."""
    found = [line[len(_KEY) :].strip() for line in text.splitlines() if line.startswith(_KEY)]
    return found[-1] if found else None


def with_server(text: str, address: str) -> str:
    """``text`` with exactly one server line, in the place of the first."""
    lines = text.splitlines()
    places = [index for index, line in enumerate(lines) if line.startswith(_KEY)]
    kept = [line for index, line in enumerate(lines) if index not in places]
    kept.insert(places[0] if places else len(kept), f"{_KEY}{address}")
    return "\n".join(kept) + "\n"
