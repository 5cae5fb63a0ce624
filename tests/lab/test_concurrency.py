"""Many commands at once lose nothing, whether they share a store or only its directory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from xcat_aix_lab.directory import LabDirectory
from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.execute import execute
from xcat_aix_lab.sim.store import DirectoryStore

from . import transcript

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import Store

GROUPS = [f"group{i:02d}" for i in range(24)]
CLIENTS = ("n01", "n02", "n03", "n04", "n05", "n06")


def run(store: Store, node: str, *argv: str) -> None:
    result = execute(argv, node, store, transcript.never, patience=30.0)
    assert result.rc == 0, result.stderr


def stores(kind: str, lab: LabDirectory) -> list[Store]:
    if kind == "memory":
        return [transcript.fresh()]
    if kind == "one directory":
        return [lab.store]
    return [DirectoryStore(str(lab.path)) for _ in range(4)]


@pytest.mark.parametrize("kind", ["memory", "one directory", "directory of several processes"])
def test_nothing_is_lost(kind: str, lab: LabDirectory) -> None:
    used = stores(kind, lab)

    def define(number: int) -> None:
        argv = ("nim", "-o", "define", "-t", "mac_group", "-a", "add_member=n01", GROUPS[number])
        run(used[number % len(used)], "sn1", *argv)

    def move(number: int) -> None:
        client, store = CLIENTS[number % len(CLIENTS)], used[number % len(used)]
        run(store, client, "niminit", "-a", f"name={client}", "-a", "master=sn1b")
        run(store, client, "nimclient", "-P")
        run(store, client, "route", "change", "default", "127.9.16.1")

    with ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(define, i) for i in range(len(GROUPS))]
        jobs += [pool.submit(move, i) for i in range(24)]
        for job in jobs:
            job.result(60)
    store = used[0]
    database = store.nim("sn1")
    assert database is not None
    assert set(GROUPS) <= database.objects.keys()
    for client in CLIENTS:
        assert database.objects[client].attributes["control"] == f"{client} push_off"
        assert store.host(client).routes == [["default", "127.9.16.1", "en0"]]
        text = store.files(client).read(niminfo.PATH)
        assert text is not None
        assert niminfo.parse(text)["NIM_MASTER_HOSTNAME"] == "sn1b"
