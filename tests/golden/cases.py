"""What all golden cases need: finding them, loading them, the difference in words, and writing them anew."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Characters of a value that a difference shows.
_SHOWN = 160

Case = dict[str, Any]


def find(directory: Path, pattern: str = "*.json") -> list[Path]:
    """The case files of a directory, in order of their names."""
    return sorted(directory.glob(pattern))


def load(path: Path) -> Any:
    """The JSON in a file, which may be compressed with gzip."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return json.loads(content)


def text(case: Mapping[str, Any]) -> str:
    """A case as it stands in its file."""
    return json.dumps(case, indent=1, ensure_ascii=False) + "\n"


def rewrite(paths: Iterable[Path], made: Callable[[Path], str]) -> list[Path]:
    """Write each file as it is made anew; hands back those that became different."""
    changed = []
    for path in paths:
        new = made(path)
        if new != path.read_text(encoding="utf-8"):
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


def rewrite_expectations(
    paths: Iterable[Path], outcome: Callable[[Mapping[str, Any]], Any]
) -> list[Path]:
    """Put what comes out today under ``expect`` of each case."""
    return rewrite(paths, lambda path: text({**(case := load(path)), "expect": outcome(case)}))


def differences(wanted: Any, found: Any, where: str = "") -> list[str]:
    """How two JSON values differ, place by place; empty if they do not."""
    return list(_differences(wanted, found, where))


def _differences(wanted: Any, found: Any, where: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            place = f"{where}.{key}" if where else str(key)
            if key not in found:
                yield f"{place}: wanted {_short(wanted[key])}, is not there"
            elif key not in wanted:
                yield f"{place}: not wanted, is {_short(found[key])}"
            else:
                yield from _differences(wanted[key], found[key], place)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif wanted != found or type(wanted) is not type(found):
        yield f"{where or 'value'}: wanted {_short(wanted)}, is {_short(found)}"


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."


def missing_and_extra(wanted: Sequence[str], found: Sequence[str]) -> tuple[list[str], list[str]]:
    """Lines that only one side has, whatever their order; a line counts as often as it stands there."""
    extra = list(found)
    missing = []
    for line in wanted:
        if line in extra:
            extra.remove(line)
        else:
            missing.append(line)
    return missing, extra
