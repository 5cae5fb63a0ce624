"""Names that are made, not chosen: ids of plans and of their jobs."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

_NOT_IN_PLAN_ID = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_IN_JOB_ID = re.compile(r"[^A-Za-z0-9_.-]+")

# A job id has at most 128 characters (xcat_aix_proto.names): 40 for the plan, 40 for the step.
_LANE_LENGTH = 36


def plan_id(command: str, now: datetime, suffix: str) -> str:
    """Such as ``snmove-20261123-4f2a``; without dots, which separate the parts of a job id."""
    word = _NOT_IN_PLAN_ID.sub("_", command)[:20]
    return f"{word}-{now:%Y%m%d}-{suffix}"


def job_id(plan: str, lane: str, step: str, attempt: int) -> str:
    """``<plan>.<lane>.<step>.<attempt>``, the same for the same arguments and unique for others.

    A lane's name that does not fit is shortened and carries a hash of itself.
    """
    return f"{plan}.{_lane(lane)}.{step}.{attempt}"


def _lane(name: str) -> str:
    safe = _NOT_IN_JOB_ID.sub("_", name)
    if safe == name and len(name) <= _LANE_LENGTH:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{safe[: _LANE_LENGTH - len(mark) - 1]}_{mark}"
