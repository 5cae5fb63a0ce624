"""Random operations against a naive book-keeping of who holds what."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xcat_aix_lab.sim.objects import READY
from xcat_aix_lab.sim.store import MemoryStore

from . import transcript

CLIENTS = ("n01", "n02", "n07", "n08")
RESOURCES = {
    "aix73": "spot",
    "aix73_lpp_source": "lpp_source",
    "aix73_bosinst_data": "bosinst_data",
    "aix73dl": "spot",
    "aix73dl_shared_root": "shared_root",
    "aix73dl_paging": "paging",
    "xcataixscript": "script",
    "nobody": "spot",
}


class NimModel(RuleBasedStateMachine):
    @initialize()
    def cluster(self) -> None:
        self.store: MemoryStore = transcript.fresh()
        for client in ("n07", "n08", "n09", "n10", "n11", "n12"):
            self.nim("-Fo", "reset", client)
            self.nim("-Fo", "deallocate", "-a", "subclass=all", client)
        self.held: dict[str, set[str]] = {client: set() for client in CLIENTS}

    def nim(self, *args: str) -> int:
        result = transcript.run(self.store, "sn1", "nim", *args)
        if result.rc == 0:
            assert result.stderr == ""
        else:
            assert result.stderr.startswith('0042-001 nim: processing error encountered on "master')
            number = int(result.stderr.splitlines()[1].split()[0].removeprefix("0042-"))
            assert result.rc == number & 0xFF
        return result.rc

    def lsnim(self, *args: str) -> str:
        return transcript.run(self.store, "sn1", "lsnim", *args).stdout

    @rule(client=st.sampled_from(CLIENTS), resource=st.sampled_from(sorted(RESOURCES)))
    def allocate(self, client: str, resource: str) -> None:
        rc = self.nim("-o", "allocate", "-a", f"{RESOURCES[resource]}={resource}", client)
        if rc == 0:
            assert resource not in self.held[client]
            self.held[client].add(resource)

    @rule(client=st.sampled_from(CLIENTS), resource=st.sampled_from(sorted(RESOURCES)))
    def deallocate(self, client: str, resource: str) -> None:
        rc = self.nim("-o", "deallocate", "-a", f"{RESOURCES[resource]}={resource}", client)
        if rc == 0:
            assert resource in self.held[client]
            self.held[client].discard(resource)
        elif resource in self.held[client]:
            assert self.state(client) != READY

    @rule(client=st.sampled_from(CLIENTS), force=st.booleans())
    def deallocate_all(self, client: str, force: bool) -> None:
        state = self.state(client)
        rc = self.nim("-Fo" if force else "-o", "deallocate", "-a", "subclass=all", client)
        assert (rc == 0) == (force or state == READY)
        if rc == 0:
            self.held[client].clear()

    @rule(client=st.sampled_from(CLIENTS))
    def reset(self, client: str) -> None:
        assert self.nim("-Fo", "reset", client) == 0
        assert self.state(client) == READY

    @rule(client=st.sampled_from(("n07", "n08")))
    def initialise(self, client: str) -> None:
        wanted = {"aix73dl", "aix73dl_shared_root", "aix73dl_paging"}
        args = [w for name in wanted for w in ("-a", f"{RESOURCES[name]}={name}")]
        if self.nim("-o", "dkls_init", *args, client) == 0:
            assert self.held[client] <= wanted
            self.held[client] |= wanted

    @rule(resource=st.sampled_from(sorted(RESOURCES)))
    def change(self, resource: str) -> None:
        rc = self.nim("-Fo", "change", "-a", "nfs_vers=4", resource)
        used = any(resource in held for held in self.held.values())
        assert rc == (61 if used else 53 if resource == "nobody" else 0)

    @rule(resource=st.sampled_from(("aix73dl_paging", "xcataixscript")))
    def remove_used(self, resource: str) -> None:
        if any(resource in held for held in self.held.values()):
            assert self.nim("-o", "remove", resource) == 61

    @rule(client=st.sampled_from(CLIENTS))
    def remove_used_machine(self, client: str) -> None:
        if self.held[client]:
            assert self.nim("-o", "remove", client) == 52

    def state(self, client: str) -> str:
        return self.lsnim("-Z", "-a", "Cstate", client).splitlines()[1].split(":")[1]

    @invariant()
    def counts_agree(self) -> None:
        for resource in RESOURCES:
            if resource != "nobody":
                line = self.lsnim("-Z", "-a", "alloc_count", resource).splitlines()[1]
                users = sum(resource in held for held in self.held.values())
                assert line == f"{resource}:{users}:"

    @invariant()
    def clients_show_what_they_hold(self) -> None:
        for client, held in self.held.items():
            shown = {line.split()[0] for line in self.lsnim("-c", "resources", client).splitlines()}
            assert shown - {"boot", "nim_script"} == held


TestNimModel = NimModel.TestCase
TestNimModel.settings = settings(max_examples=40, stateful_step_count=25)
