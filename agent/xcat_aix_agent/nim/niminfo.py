"""/etc/niminfo: who this host's NIM master is, and keeping the file safe while it changes.

Owns: the file, its copy while a re-point is under way, and the previous one.  Must not: run NIM.
Format: docs/facts/nim.md, The file niminfo.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional

from xcat_aix_agent import files
from xcat_aix_agent.host import Host

FILE = "/etc/niminfo"

#: Exists while a re-point is under way; empty if there was no niminfo before.
COPY = "/etc/niminfo.xcat-aix"

#: The registration before the last successful re-point, for people.
PREVIOUS = "/etc/niminfo.previous"


def parse(text: str) -> Mapping[str, str]:
    """The variables of the file: ``export NAME=value``, quoted or not; comments are left out."""
    values: Dict[str, str] = {}
    for line in text.splitlines():
        words = line.strip()
        words = words[len("export ") :].strip() if words.startswith("export ") else words
        name, sign, value = words.partition("=")
        if sign and name.isidentifier():
            values[name] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    for quote in ('"', "'"):
        if len(value) >= 2 and value[0] == value[-1] == quote:
            return value[1:-1]
    return value


def read(host: Host) -> Optional[Mapping[str, str]]:
    """The variables, None if there is no file."""
    text = files.read(host.file(FILE))
    return None if text is None else parse(text)


def is_half_done(host: Host) -> bool:
    """Whether a re-point began and neither succeeded nor put the old file back."""
    return host.file(COPY).exists()


def set_aside(host: Host) -> None:
    """Keep a copy and remove the file; raises ``NO_SPACE``, and then the file is where it was."""
    path, kept = host.file(FILE), host.file(COPY)
    with files.disk_errors(f"keep a copy of {FILE}"):
        text = files.read(path)
        mode = path.stat().st_mode & 0o7777 if text is not None else 0o644
        files.replace(kept, text or "", mode=mode, sync=host.sync)
        if text is not None:
            path.unlink()
        _flush(host)


def put_back(host: Host) -> None:
    """Make the file what it was before :func:`set_aside`."""
    path, kept = host.file(FILE), host.file(COPY)
    with files.disk_errors(f"put {FILE} back from {COPY}"):
        if files.read(kept):
            kept.replace(path)
        else:
            if path.exists():
                path.unlink()
            kept.unlink()
        _flush(host)


def keep_previous(host: Host) -> None:
    """The new registration is good: the copy becomes the previous one."""
    kept = host.file(COPY)
    with files.disk_errors(f"rename {COPY}"):
        if files.read(kept):
            kept.replace(host.file(PREVIOUS))
        else:
            kept.unlink()
        _flush(host)


def _flush(host: Host) -> None:
    if host.sync:
        files.sync_directory(host.file(FILE).parent)
