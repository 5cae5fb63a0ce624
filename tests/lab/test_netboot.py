from __future__ import annotations

import pytest

from xcat_aix_lab.netboot import CannotBoot, netboot
from xcat_aix_lab.sim import niminfo
from xcat_aix_lab.sim.faults import Faults
from xcat_aix_lab.sim.store import MemoryStore

from . import transcript

ADDRESS = "127.9.17.7"


@pytest.fixture
def store() -> MemoryStore:
    return transcript.fresh()


@pytest.mark.parametrize("server", ["sn2b", "127.9.16.2"])
def test_a_node_becomes_what_its_boot_server_says(store: MemoryStore, server: str) -> None:
    netboot(store, "n07", ADDRESS, server)
    text = store.files("n07").read(niminfo.PATH)
    assert text is not None
    own = niminfo.parse(text)
    assert (own["NIM_MASTER_HOSTNAME"], own["NIM_CONFIGURATION"]) == ("sn2b", "diskless")
    assert store.files("n07").read("/etc/xcatinfo") == "XCATSERVER=127.9.16.2\n"
    assert "default            127.9.16.2" in transcript.run(store, "n07", "netstat", "-rn").stdout


def test_a_dead_server(store: MemoryStore) -> None:
    store.save_faults("sn2", Faults(down=True))
    with pytest.raises(CannotBoot, match="sn2 does not answer"):
        netboot(store, "n07", ADDRESS, "sn2b")


def test_a_server_that_is_not_prepared(store: MemoryStore) -> None:
    transcript.run(store, "sn2", "nim", "-Fo", "reset", "n07")
    with pytest.raises(CannotBoot, match="not initialised on sn2"):
        netboot(store, "n07", ADDRESS, "sn2b")
    transcript.run(store, "sn2", "nim", "-Fo", "deallocate", "-a", "subclass=all", "n07")
    transcript.run(store, "sn2", "nim", "-o", "remove", "n07")
    with pytest.raises(CannotBoot, match="not initialised on sn2"):
        netboot(store, "n07", ADDRESS, "sn2b")


def test_no_boot_information(store: MemoryStore) -> None:
    store.files("sn2").remove(f"/tftpboot/{ADDRESS}.info")
    with pytest.raises(CannotBoot, match=r"no /tftpboot/127\.9\.17\.7\.info"):
        netboot(store, "n07", ADDRESS, "sn2b")


def test_an_unknown_server(store: MemoryStore) -> None:
    with pytest.raises(CannotBoot, match="nobody knows a server 'sn9b'"):
        netboot(store, "n07", ADDRESS, "sn9b")
