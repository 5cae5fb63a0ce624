"""Stored plans of older formats, made into the present one: data to data, one function a format.

Owns what has changed between formats, so that plans that are open at an upgrade can be shown, resumed, undone or
given up.  Must not: know what a plan does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xcatd.changes import Draft

Body = dict[str, Any]


def upgraded(body: Mapping[str, Any], newest: int) -> Body:
    """The body of a stored plan in the format ``newest``; raises ValueError for one that is not known."""
    read = dict(body)
    while read.get("format") != newest:
        step = _UPGRADES.get(read.get("format") or 0)
        if step is None:
            raise ValueError(f"plan format {body.get('format')!r} is not known to this version")
        read = step(read)
    return read


def _from_1(body: Body) -> Body:
    """Steps had titles; what was written was the plan's; an undo kept in its summary what it carries."""
    kept = {name: value for name, value in body.items() if name not in {"cells", "guards"}}
    summary = {name: value for name, value in body["summary"].items() if name not in _MOVED_1}
    return {
        **kept,
        "format": 2,
        "lanes": [_lane_1(body, lane) for lane in body["lanes"]],
        "summary": summary,
        "rest": [_lane_1(body, lane) for lane in body["summary"].get("rest", ())],
    }


#: Entries of a summary that are the plan's own now.
_MOVED_1 = frozenset({"undoes", "rest"})


def _lane_1(plan: Body, lane: Body) -> Body:
    """An agent was named by its node alone: that of a lane was a compute node's, the relay a service node's."""
    return {
        **lane,
        "target": lane["target"] and ["cn", lane["target"]],
        "via": lane["via"] and ["sn", lane["via"]],
        "after": [],
        "steps": [_step_1(plan, step) for step in lane["steps"]],
    }


def _step_1(plan: Body, step: Body) -> Body:
    """The one step that wrote the database took what it wrote from the plan."""
    kept = {name: step[name] for name in ("id", "kind", "args")}
    if step["kind"] != "database.write@1":
        return kept
    draft = Draft()
    for table, key_column, key, column, before, after, effective in plan["cells"]:
        place = (table, ((key_column, key),))
        draft.set(place, column, after)
        draft.guard(place, column, before)
        if effective is not None:
            draft.see(place, column, effective)
    for table, key_column, key, column, value in plan["guards"]:
        draft.guard((table, ((key_column, key),)), column, value)
    return {**kept, "kind": "database.write@2", "changes": draft.done().to_json()}


_UPGRADES: Mapping[int, Callable[[Body], Body]] = {1: _from_1}

#: Formats older than the present one that can be read.
FORMER = frozenset(_UPGRADES)
