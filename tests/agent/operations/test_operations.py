"""What the operations do to a host, with commands that answer as written here."""

from __future__ import annotations

import errno

import pytest

from xcat_aix_agent import files, operations
from xcat_aix_agent.host import Host
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Verdict

OLD = "export NIM_NAME=n1\nexport NIM_MASTER_HOSTNAME=sn1\n"
REPOINT = proto.RepointClient("n1", "10.0.0.2")


class NimWorld:
    """niminit and nimclient of a small world: masters that are up, and whom they know."""

    def __init__(self, root, commands):
        self.root = root
        self.known = {"10.0.0.2": {"n1"}, "sn1": {"n1"}}
        self.crash_in = ""
        self.writes_name = None
        commands.programs.update(niminit=self.niminit, nimclient=self.nimclient)

    @property
    def niminfo(self):
        return files.read(self.root / "etc/niminfo")

    def niminit(self, argv):
        values = dict(word.split("=") for word in argv if "=" in word)
        if self.niminfo is not None:
            return (1, "", "niminit: already configured\n")
        if self.crash_in == "niminit":
            raise KeyboardInterrupt
        if values["master"] not in self.known:
            return (
                6,
                "",
                (
                    "0042-001 niminit: processing error\n   0042-006 niminit: (From_Master) connect\n"
                    "        Error 0\n"
                ),
            )
        name = self.writes_name or values["master"]
        text = f"export NIM_NAME={values['name']}\nexport NIM_MASTER_HOSTNAME={name}\n"
        (self.root / "etc/niminfo").write_text(text)
        return None

    def nimclient(self, argv):
        from xcat_aix_agent.nim import niminfo

        values = niminfo.parse(self.niminfo or "")
        known = self.known.get(values.get("NIM_MASTER_HOSTNAME", ""), set())
        if values.get("NIM_NAME") not in known:
            text = f'0042-053 nimclient: there is no NIM object named "{values.get("NIM_NAME")}"\n'
            return (53, "", text)
        return f"{argv[-1]}:\n   class = machines\n" if "-l" in argv else None


@pytest.fixture
def host(tmp_path, commands):
    (tmp_path / "etc").mkdir()
    return Host("n1", commands, tmp_path, sync=False)


@pytest.fixture
def world(host, commands):
    (host.root / "etc/niminfo").write_text(OLD)
    return NimWorld(host.root, commands)


def run(operation, host):
    said = []
    answer = operations.run(operation, host, said.append)
    return answer, "\n".join(said)


def fails(operation, host):
    with pytest.raises(AgentError) as caught:
        run(operation, host)
    return caught.value


def etc(host):
    return sorted(entry.name for entry in (host.root / "etc").iterdir())


def test_repoint(host, world, commands):
    assert operations.probe(REPOINT, host).verdict is Verdict.NOT_DONE
    answer, _ = run(REPOINT, host)
    assert answer == {"before": "sn1", "changed": True}
    assert "NIM_MASTER_HOSTNAME=10.0.0.2" in world.niminfo
    assert operations.probe(REPOINT, host).verdict is Verdict.DONE
    assert ("niminit", "-a", "name=n1", "-a", "master=10.0.0.2") in commands.ran
    assert ("nimclient", "-p") in commands.ran
    assert ("nimclient", "-l", "-l", "n1") in commands.ran
    assert etc(host) == ["niminfo", "niminfo.previous"]
    assert (host.root / "etc/niminfo.previous").read_text() == OLD


def test_repoint_again_changes_nothing(host, world, commands):
    run(REPOINT, host)
    commands.ran.clear()
    assert run(REPOINT, host)[0]["changed"] is False
    assert not [argv for argv in commands.ran if argv[0] == "niminit"]


def test_repoint_refused_by_nim_puts_the_old_registration_back(host, world):
    del world.known["10.0.0.2"]
    error = fails(REPOINT, host)
    assert error.code is ErrorCode.NIM_REFUSED
    assert error.message == "niminit: 0042-006 niminit: (From_Master) connect Error 0"
    assert "0042-001" in error.detail
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])


def test_repoint_to_a_master_that_does_not_know_the_client(host, world):
    world.known["10.0.0.2"] = set()
    error = fails(REPOINT, host)
    assert error.message.startswith("nimclient -p: 0042-053")
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])


def test_repoint_where_niminfo_names_somebody_else_afterwards(host, world):
    world.writes_name = "sn1"
    error = fails(REPOINT, host)
    assert error.code is ErrorCode.VERIFICATION_FAILED
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])


def test_repoint_knows_a_master_by_name_and_address(host, world):
    (host.root / "etc/hosts").write_text("10.0.0.2 sn2b.cluster SN2B # facing us\n")
    world.writes_name = "sn2b"
    world.known["sn2b"] = {"n1"}
    assert run(REPOINT, host)[0]["changed"]


def test_repoint_killed_half_way_is_seen_and_mended(host, world):
    world.crash_in = "niminit"
    with pytest.raises(KeyboardInterrupt):
        run(REPOINT, host)
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])
    # Killed so hard that nothing could be put back:
    (host.root / "etc/niminfo").rename(host.root / "etc/niminfo.xcat-aix")
    assert operations.probe(REPOINT, host).verdict is Verdict.NOT_DONE
    world.crash_in = ""
    answer, said = run(REPOINT, host)
    assert answer == {"before": "sn1", "changed": True}
    assert "an earlier attempt was interrupted" in said


@pytest.mark.parametrize(
    "left", [None, "export NIM_NAME=n1\nexport NIM_MASTER_HOSTNAME=10.0.0.2\n"]
)
def test_recovery_after_a_lost_job_restores_the_registration(host, world, left):
    (host.root / "etc/niminfo").rename(host.root / "etc/niminfo.xcat-aix")
    if left:
        (host.root / "etc/niminfo").write_text(left)
    operations.recover(REPOINT, host)
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])
    operations.recover(REPOINT, host)
    operations.recover(proto.SetXcatServer("10.0.0.1"), host)
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])


def test_repoint_of_a_host_that_was_no_client(host, world):
    (host.root / "etc/niminfo").unlink()
    assert operations.probe(REPOINT, host).text == "there is no /etc/niminfo"
    del world.known["10.0.0.2"]
    fails(REPOINT, host)
    assert (world.niminfo, etc(host)) == (None, [])
    world.known["10.0.0.2"] = {"n1"}
    assert run(REPOINT, host)[0] == {"before": "", "changed": True}
    assert etc(host) == ["niminfo"]


def test_repoint_with_a_full_disk_touches_nothing(host, world, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    error = fails(REPOINT, host)
    assert error.code is ErrorCode.NO_SPACE
    assert (world.niminfo, etc(host)) == (OLD, ["niminfo"])


def test_repoint_without_nim_on_the_host(host, commands):
    (host.root / "etc/niminfo").write_text(OLD)
    error = fails(REPOINT, host)
    assert error.message == "cannot find the command niminit on this host"
    assert files.read(host.root / "etc/niminfo") == OLD


def test_xcatinfo(host):
    operation = proto.SetXcatServer("10.0.0.2")
    path = host.root / "etc/xcatinfo"
    path.write_text("NODE=n1\nXCATSERVER=10.0.0.1\n")
    path.chmod(0o640)
    assert operations.probe(operation, host).verdict is Verdict.NOT_DONE
    assert run(operation, host)[0] == {"before": "10.0.0.1"}
    assert path.read_text() == "NODE=n1\nXCATSERVER=10.0.0.2\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert operations.probe(operation, host).verdict is Verdict.DONE


def routes(*gateways):
    lines = [f"default {gateway} UG 1 1 en0 - -" for gateway in gateways]
    return "Destination Gateway Flags Refs Use If\n" + "\n".join(lines) + "\n"


ROUTE = proto.ChangeDefaultRoute("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("gateways", "changes"),
    [
        (["10.0.0.1"], True),
        (["10.9.9.9", "10.0.0.1"], True),
        (["10.0.0.1", "10.0.0.2"], False),
        (["10.0.0.2"], False),
        (["10.0.0.11"], False),
        ([], False),
    ],
)
def test_default_route(host, commands, gateways, changes):
    def change(argv):
        gateways[gateways.index("10.0.0.1")] = argv[-1]

    commands.programs.update(netstat=lambda _argv: routes(*gateways), route=change)
    before = operations.probe(ROUTE, host).verdict
    assert before is (Verdict.NOT_DONE if changes else Verdict.DONE)
    assert run(ROUTE, host)[0] == {"changed": changes}
    assert (("route", "change", "default", "10.0.0.2") in commands.ran) is changes
    assert operations.probe(ROUTE, host).verdict is Verdict.DONE


def test_default_route_that_does_not_change(host, commands):
    commands.programs.update(netstat=lambda _argv: routes("10.0.0.1"), route=lambda _argv: "")
    assert fails(ROUTE, host).code is ErrorCode.VERIFICATION_FAILED
    commands.programs["route"] = lambda _argv: (1, "", "0821-279 no such process\n")
    error = fails(ROUTE, host)
    assert error.code is ErrorCode.COMMAND_FAILED
    assert "stderr: 0821-279" in error.detail


BOOT = proto.SetBootlist("10.0.0.5", "10.0.0.2", "10.0.0.2")
INTERFACES = "Name Mtu Network Address\nen1 1500 10.0 10.0.0.5 1 0 1 0 0\nxx0 1500 10.0 10.0.0.6\n"


def test_bootlist(host, commands):
    state = ["hdisk0 blv=hd5"]

    def bootlist(argv):
        if "-o" not in argv:
            state[0] = " ".join(argv[3:])
        return state[0] + "\n"

    commands.programs.update(netstat=lambda _argv: INTERFACES, bootlist=bootlist)
    assert operations.probe(BOOT, host).verdict is Verdict.NOT_DONE
    assert run(BOOT, host)[0] == {"device": "ent1"}
    assert state == ["ent1 gateway=10.0.0.2 bserver=10.0.0.2 client=10.0.0.5"]
    assert operations.probe(BOOT, host).verdict is Verdict.DONE
    other = proto.SetBootlist("10.0.0.5", "10.0.0.3")
    assert operations.probe(other, host).verdict is Verdict.NOT_DONE


@pytest.mark.parametrize("finished", [True, False])
def test_bootlist_that_prints_no_addresses_is_decided_by_the_record(host, commands, finished):
    import dataclasses

    commands.programs.update(netstat=lambda _argv: INTERFACES, bootlist=lambda _argv: "ent1\n")
    host = dataclasses.replace(host, finished=lambda _operation: finished)
    expected = Verdict.DONE if finished else Verdict.NOT_DONE
    assert operations.probe(BOOT, host).verdict is expected


@pytest.mark.parametrize(("client", "text"), [("10.0.0.7", "no interface"), ("10.0.0.6", "xx0")])
def test_bootlist_without_a_device(host, commands, client, text):
    commands.programs["netstat"] = lambda _argv: INTERFACES
    error = fails(proto.SetBootlist(client, "10.0.0.2"), host)
    assert error.code is ErrorCode.NOT_FOUND
    assert text in error.message


DUMP = proto.SetDumpDevice("iqn.1", "0x0", "10.0.0.2")


def test_dump_device(host, commands):
    ok = dict.fromkeys(["mkdev", "c_config_dump", "sysdumpdev"], lambda _argv: "")
    commands.programs.update(ok, c_disc_target=lambda _argv: "looking ...\nhdisk7\n")
    assert run(DUMP, host)[0] == {"disk": "hdisk7"}
    assert [argv[0] for argv in commands.ran] == [
        "c_disc_target",
        "mkdev",
        "c_config_dump",
        "sysdumpdev",
    ]
    assert commands.ran[-1] == ("sysdumpdev", "-p", "/dev/hdisk7")
    assert operations.probe(DUMP, host).verdict is Verdict.NOT_DONE


def test_dump_device_that_is_not_found_or_refused(host, commands):
    commands.programs["c_disc_target"] = lambda _argv: "none\n"
    assert fails(DUMP, host).code is ErrorCode.NOT_FOUND
    commands.programs["c_disc_target"] = lambda _argv: (1, "", "0042-006 c_disc_target: no\n")
    assert fails(DUMP, host).message == "c_disc_target: 0042-006 c_disc_target: no"


def test_postscripts_get_their_environment_and_arguments(host, commands):
    commands.programs.update(syslog=lambda _argv: "ok\n", setupntp=lambda _argv: (2, "", "bad\n"))
    operation = proto.RunPostscripts(("setupntp", "syslog a b"), "10.0.0.2", "n1", "mn")
    error = fails(operation, host)
    assert error.message == "postscripts: setupntp ended with 2"
    assert commands.ran[-1] == (str(host.root / "xcatpost/syslog"), "a", "b")
    wanted = {"MASTER": "10.0.0.2", "NODE": "n1", "SITEMASTER": "mn"}
    assert commands.environments[-1] == wanted


LSNIM = "master machines master\nn1 machines standalone\nsp resources spot\n"


def lsnim(argv):
    if len(argv) == 1:
        return LSNIM
    return "".join(f"{name}:\n   class = x\n" for name in argv[2:])


def test_snapshot_is_two_looks_for_all(host, commands):
    commands.programs["lsnim"] = lsnim
    answer = operations.query(proto.NimSnapshot(), host)
    assert answer["is_master"]
    assert [found["name"] for found in answer["objects"]] == ["master", "n1", "sp"]
    assert len(commands.ran) == 2


def test_snapshot_of_some_names(host, commands):
    commands.programs["lsnim"] = lsnim
    answer = operations.query(proto.NimSnapshot(("sp", "none", "sp")), host)
    assert [found["name"] for found in answer["objects"]] == ["sp"]
    assert answer["missing"] == ["none"]
    assert commands.ran[-1] == ("lsnim", "-l", "sp")


def test_snapshot_of_only_missing_names(host, commands):
    commands.programs["lsnim"] = lsnim
    answer = operations.query(proto.NimSnapshot(("none",)), host)
    assert (answer["is_master"], answer["objects"], answer["missing"]) == (True, [], ["none"])


def test_snapshot_while_an_object_goes(host, commands):
    def vanishing(argv):
        if len(argv) == 1:
            return LSNIM
        return (53, "master:\n   class = machines\n", '0042-053 lsnim: no NIM object named "n1"\n')

    commands.programs["lsnim"] = vanishing
    answer = operations.query(proto.NimSnapshot(("master", "n1")), host)
    assert [found["name"] for found in answer["objects"]] == ["master"]
    assert "0042-053" in answer["problems"][0]
    assert answer["problems"][1] == "lsnim shows nothing of n1"


def test_snapshot_where_nim_is_not_there_or_no_master(host, commands):
    answer = operations.query(proto.NimSnapshot(("n1",)), host)
    assert (answer["is_master"], answer["missing"]) == (False, ["n1"])
    commands.programs["lsnim"] = lambda _argv: (1, "", "0042-012 lsnim: master only\n")
    assert not operations.query(proto.NimSnapshot(), host)["is_master"]
    (host.root / "etc/niminfo").write_text("export NIM_CONFIGURATION=master\n")
    with pytest.raises(AgentError) as caught:
        operations.query(proto.NimSnapshot(), host)
    assert caught.value.code is ErrorCode.NIM_REFUSED


def test_host_facts(host, commands):
    (host.root / "etc/niminfo").write_text(OLD)
    commands.programs.update(
        hostname=lambda _argv: "n1.cluster\n",
        oslevel=lambda _argv: "7300-02-02-2420\n",
        ifconfig=lambda _argv: "en0: flags=1\n inet 10.0.0.5 netmask 0xffffff00 broadcast x\n",
        netstat=lambda _argv: routes("10.0.0.1"),
        df=lambda _argv: "h\n/dev/hd4 2048.00 100.00 50% 1 6% /\n",
    )
    answer = operations.query(proto.HostFacts(), host)
    assert answer["hostname"] == "n1.cluster"
    assert answer["os_level"] == "7300-02-02-2420"
    assert answer["interfaces"] == [
        {"name": "en0", "address": "10.0.0.5", "netmask": "255.255.255.0"}
    ]
    assert answer["routes"][0]["gateway"] == "10.0.0.1"
    assert answer["space"] == [{"path": "/", "free_mib": 100}]
    assert answer["niminfo"]["NIM_MASTER_HOSTNAME"] == "sn1"


def test_host_facts_without_aix_commands(host, commands):
    commands.programs["netstat"] = lambda _argv: ""
    commands.programs["ifconfig"] = lambda _argv: ""
    answer = operations.query(proto.HostFacts(), host)
    assert answer["hostname"]
    assert answer["space"][0]["path"] == "/"
    assert answer["niminfo"] is None


def test_queries_and_jobs_are_not_mixed_up(host):
    with pytest.raises(AgentError, match="is not a query"):
        operations.query(REPOINT, host)
    with pytest.raises(AgentError, match="is a query"):
        operations.probe(proto.HostFacts(), host)


def test_every_operation_of_the_protocol_is_implemented():
    assert operations.kinds() == tuple(sorted([*proto.BY_KIND, proto.Chain.kind]))
