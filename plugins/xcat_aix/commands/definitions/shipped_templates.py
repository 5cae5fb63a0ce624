"""The object templates that come with xCAT: stanza files below its installation directory.

Facts: docs/facts/object-commands.md, mkdef from a template; Stanza files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Where xCAT is installed unless XCATROOT says otherwise.
DEFAULT_ROOT = "/opt/xcat"

_LARGEST = 1 << 20


def read(environ: Mapping[str, str], kind: str) -> str:
    """All templates for a type of object as one text; empty where there are none."""
    root = Path(environ.get("XCATROOT") or DEFAULT_ROOT)
    directory = root / "share" / "xcat" / "templates" / "objects" / kind
    paths = sorted(directory.rglob("*")) if directory.is_dir() else []
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file() and path.stat().st_size <= _LARGEST
    )
