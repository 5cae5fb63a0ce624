"""Who gives way when all places are taken: the oldest of the source that holds most of them.

So a source that floods us takes places from itself, and one that needs a single place for a moment keeps
it.  Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import Dict, TypeVar

K = TypeVar("K")


def gives_way(places: Dict[K, str]) -> K:
    """The holder that must go; ``places`` maps each, the oldest first, to its source."""
    counts = Counter(places.values())
    most = max(counts.values())
    return next(holder for holder, source in places.items() if counts[source] == most)
