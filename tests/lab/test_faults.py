from __future__ import annotations

import threading

import pytest

from xcat_aix_lab.directory import LabDirectory
from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.execute import execute
from xcat_aix_lab.sim.faults import FAIL, HANG, SLOW, Fault, Faults
from xcat_aix_lab.sim.store import MemoryStore

from . import transcript
from .transcript import run


@pytest.fixture
def store() -> MemoryStore:
    return transcript.fresh()


def break_(store: MemoryStore, node: str, *rules: Fault, down: bool = False) -> None:
    store.save_faults(node, Faults(down=down, rules=list(rules)))


def master_of(store: MemoryStore, node: str) -> str | None:
    text = store.files(node).read(niminfo.PATH)
    return None if text is None else niminfo.parse(text)["NIM_MASTER_HOSTNAME"]


def test_a_dead_master_refuses_like_nim_and_changes_nothing(store: MemoryStore) -> None:
    break_(store, "sn2", down=True)
    result = run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b")
    assert result.rc == 6
    assert "0042-006 niminit: (To_master) connect" in result.stderr
    assert master_of(store, "n01") == "sn1b"


def test_an_injected_message_comes_as_often_as_asked(store: MemoryStore) -> None:
    break_(store, "n01", Fault("niminit", FAIL, number=175, text="no way", times=1))
    argv = ("niminit", "-a", "name=n01", "-a", "master=sn2b")
    failed = run(store, "n01", *argv)
    assert failed.rc == 175
    assert "0042-175 niminit: no way" in failed.stderr
    assert run(store, "n01", *argv).rc == 0


def test_a_fault_of_the_master_meets_the_clients_that_come_to_it(store: MemoryStore) -> None:
    break_(store, "sn2", Fault("niminit", FAIL, number=13, text="busy"))
    assert run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b").rc == 13
    assert run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn1b").rc == 0


def test_a_rule_for_an_operation_leaves_the_others_alone(store: MemoryStore) -> None:
    break_(store, "sn1", Fault("nim", FAIL, operation="reset", number=28))
    assert run(store, "sn1", "nim", "-Fo", "reset", "n01").rc == 28
    assert run(store, "sn1", "nim", "-Fo", "deallocate", "-a", "subclass=all", "n01").rc == 0


def test_latency_of_the_node_and_of_its_master_add_up(store: MemoryStore) -> None:
    break_(store, "n01", Fault("*", SLOW, seconds=0.5))
    break_(store, "sn2", Fault("niminit", SLOW, seconds=2.0))
    slept: list[float] = []
    argv = ["niminit", "-a", "name=n01", "-a", "master=sn2b"]
    assert execute(argv, "n01", store, slept.append).rc == 0
    assert slept == [0.5, 2.0]


def test_a_hanging_node_goes_on_when_the_fault_is_cleared(store: MemoryStore) -> None:
    break_(store, "n01", Fault("*", HANG))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            store.save_faults("n01", Faults())

    assert execute(["hostname"], "n01", store, sleep).stdout == "n01\n"
    assert len(slept) == 5


def test_a_full_disk(store: MemoryStore) -> None:
    store.save_faults("n01", Faults(disk_full=True))
    result = run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b")
    assert result.rc != 0
    assert "not enough space" in " ".join(result.stderr.split())
    assert master_of(store, "n01") == "sn1b"
    assert run(store, "n01", "df", "-m", "/").stdout.splitlines()[1].split()[2] == "0.00"


def test_a_busy_master_is_an_error_not_a_long_wait(store: MemoryStore) -> None:
    with store.nim_lock("sn1", 0.0) as held:
        assert held
        result = execute(["nim", "-Fo", "reset", "n01"], "sn1", store, transcript.never, patience=0)
    assert result.rc == 13
    assert run(store, "sn1", "nim", "-Fo", "reset", "n01").rc == 0


def test_a_slow_operation_keeps_others_out_of_nim(lab: LabDirectory) -> None:
    store = lab.store
    store.save_faults("sn1", Faults(rules=[Fault("nim", SLOW, seconds=9.0, times=1)]))
    sleeping, go_on = threading.Event(), threading.Event()
    results = []

    def sleep(seconds: float) -> None:
        sleeping.set()
        assert go_on.wait(20)

    argv = ["nim", "-Fo", "reset", "n07"]
    slow = threading.Thread(target=lambda: results.append(execute(argv, "sn1", store, sleep)))
    slow.start()
    assert sleeping.wait(20)
    busy = execute(["nim", "-Fo", "reset", "n08"], "sn1", store, transcript.never, patience=0)
    reading = execute(["lsnim", "-l", "n07"], "sn1", store, transcript.never, patience=0)
    go_on.set()
    slow.join(20)
    assert busy.rc == 13
    assert reading.rc == 0
    assert [result.rc for result in results] == [0]


def test_removing_a_client_that_answers_takes_its_niminfo(store: MemoryStore) -> None:
    run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b")
    run(store, "sn1", "nim", "-o", "remove", "n01")
    assert master_of(store, "n01") is None


def test_removing_a_dead_client_leaves_its_niminfo(store: MemoryStore) -> None:
    break_(store, "n01", down=True)
    assert run(store, "sn1", "nim", "-o", "remove", "n01").rc == 0
    assert master_of(store, "n01") == "sn1b"


def test_quirks_can_be_switched(store: MemoryStore) -> None:
    quirks = {"z_drops_empty": False, "remove_deletes_niminfo": False}
    store.save_faults("sn1", Faults(quirks=quirks))
    argv = ("lsnim", "-Z", "-a", "Cstate", "-a", "info", "-a", "Cstate_result", "n07")
    row = run(store, "sn1", *argv).stdout.splitlines()[1]
    assert row == "n07:diskless or dataless boot is enabled::success:"
    run(store, "sn1", "nim", "-o", "remove", "n01")
    assert master_of(store, "n01") == "sn1b"
    store.save_faults("n01", Faults(quirks={"rebuild_over_niminfo": False}))
    assert run(store, "n01", "niminit", "-a", "name=n01", "-a", "master=sn2b").rc == 84


def test_the_databases_of_the_service_nodes_are_independent(store: MemoryStore) -> None:
    run(store, "sn1", "nim", "-o", "remove", "n01")
    assert run(store, "sn1", "lsnim", "n01").rc == 53
    assert run(store, "sn2", "lsnim", "n01").rc == 0


def test_a_refused_operation_changes_nothing(store: MemoryStore) -> None:
    before = run(store, "sn1", "lsnim", "-l").stdout
    argv = ("nim", "-o", "allocate", "-a", "spot=aix73", "-a", "lpp_source=nobody", "n01")
    assert run(store, "sn1", *argv).rc == 53
    assert run(store, "sn1", "lsnim", "-l").stdout == before


def test_the_wrong_cpu_is_not_served_unless_told(store: MemoryStore) -> None:
    run(store, "sn1", "nim", "-Fo", "change", "-a", "cpuid=00F6FFFF4C00", "n01")
    assert run(store, "n01", "nimclient", "-l", "-l", "n01").rc == 11
    run(store, "sn1", "nim", "-Fo", "change", "-a", "validate_cpuid=no", "master")
    assert run(store, "n01", "nimclient", "-l", "-l", "n01").rc == 0


def test_boot_files_come_and_go(store: MemoryStore) -> None:
    files = store.files("sn1")
    info = files.read("/tftpboot/127.9.17.7.info")
    assert info is not None
    assert "export SPOT=sn1b:/install/nim/spot/aix73dl/usr\n" in info
    assert "export RC_CONFIG=rc.dd_boot\n" in info
    run(store, "sn1", "nim", "-Fo", "deallocate", "-a", "subclass=all", "n07")
    assert files.read("/tftpboot/127.9.17.7.info") is None
    bootptab = files.read("/etc/bootptab")
    assert bootptab is not None
    assert "n07" not in bootptab
    assert "n08" in bootptab


def test_sync_roots_loses_the_client_data(store: MemoryStore) -> None:
    path = "/install/nim/shared_root/aix73dl_shared_root/etc/.client_data/hosts.n07"
    assert store.files("sn1").read(path)
    assert run(store, "sn1", "nim", "-Fo", "sync_roots", "aix73dl").rc == 0
    assert store.files("sn1").read(path) is None
