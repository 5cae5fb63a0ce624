"""The example cluster of docs/facts/noderange.md, Example cluster, a wilder one, and worlds over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.golden.cases import load

from xcatd import noderange
from xcatd.db.snapshot import Snapshot

HERE = Path(__file__).parent

_CLUSTERS = load(HERE / "cluster.json")

#: Object attributes the dynamic groups of these clusters ask for.
_ATTRIBUTES = {
    "arch": ("nodetype", "arch"),
    "os": ("nodetype", "os"),
    "mgt": ("nodehm", "mgt"),
    "groups": ("nodelist", "groups"),
}


def snapshot(cluster: str = "example", **site: str) -> Snapshot:
    rows = dict(_CLUSTERS[cluster])
    rows["site"] = [{"key": key, "value": value} for key, value in site.items()]
    return Snapshot.from_rows(rows)


def world(
    cluster: str = "example", files: Mapping[str, str] | None = None, **site: str
) -> noderange.Cluster:
    database = snapshot(cluster, **site)

    def attribute(node: str, name: str) -> str | None:
        known = _ATTRIBUTES.get(name)
        return database.value(node, *known) if known else None

    return noderange.Cluster(database, attribute, (files or {}).get)


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(HERE / name)["cases"]
    return found
