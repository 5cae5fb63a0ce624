"""selfcheck on a host that is as we think, and on one where each single assumption is wrong."""

from __future__ import annotations

import io
import json

import pytest

from xcat_aix_agent import checks, selfcheck

LSNIM = "master machines master\nn1 machines standalone\nsp resources spot\n"
STANZAS = {
    "master": "   class = machines\n   type = master\n   if1 = net sn1 0\n",
    "n1": "   class = machines\n   type = standalone\n   if1 = net n1 0 ent0\n",
    "sp": "   class = resources\n",
}
IFCONFIG = "en0: flags=1\n\tinet 10.0.0.1 netmask 0xffffff00 broadcast x\n"
NETSTAT_IN = "Name Mtu Network Address\nen0 1500 10.0 10.0.0.1 1 0 1 0 0\n"
NETSTAT_RN = "Destination Gateway Flags Refs Use If Exp Groups\ndefault 10.0.0.9 UG 1 1 en0\n"
DF = "Filesystem MB blocks Free %Used Iused %Iused Mounted on\n/dev/hd4 10.0 5.0 50% 1 1% /\n"
BOOT = "ent0 bserver=10.0.0.2 client=10.0.0.1\n"


def lsnim(argv):
    if len(argv) == 1:
        return LSNIM
    if "-Z" in argv:
        return "#name:if1:\nmaster:net:sn1:0:\n"
    known = [name for name in argv[2:] if name in STANZAS]
    text = "".join(f"{name}:\n{STANZAS[name]}" for name in known)
    missing = len(known) < len(argv) - 2
    return (53, text, '0042-053 lsnim: there is no NIM object named "x"\n') if missing else text


@pytest.fixture
def config(site):
    config = site.config()
    root = config.root
    (root / "xcatpost").mkdir()
    (root / "etc/hosts").write_text("10.0.0.1 sn1\n10.0.0.5 n1\n")
    (root / "etc/niminfo").write_text("export NIM_NAME=master\nexport NIM_CONFIGURATION=master\n")
    binaries = site.path / "bin"
    binaries.mkdir()
    for name in checks._CN_COMMANDS + checks._SN_COMMANDS + checks._DUMP_COMMANDS:
        (binaries / name).touch(mode=0o755)
    return site.config(path=str(binaries))


@pytest.fixture
def aix(scripted):
    return scripted(
        lsnim=lsnim,
        ifconfig=lambda _argv: IFCONFIG,
        netstat=lambda argv: NETSTAT_IN if "-in" in argv else NETSTAT_RN,
        bootlist=lambda _argv: BOOT,
        oslevel=lambda _argv: "7300-02-02-2420\n",
        df=lambda _argv: DF,
        **{checks.sys.executable.rpartition("/")[2]: lambda _argv: "held\n"},
    )


def findings(config, commands):
    output = io.StringIO()
    code = selfcheck.main(config, as_json=True, output=output, commands=commands)
    return code, {entry["name"]: entry for entry in json.loads(output.getvalue())}


def test_everything_holds_on_a_service_node_as_we_think(config, aix):
    code, found = findings(config, aix)
    unknown = {name for name, entry in found.items() if entry["result"] == "cannot tell"}
    assert unknown == {
        "niminfo-client",
        "niminfo-master-name",
        "nimclient-query",
        "niminit-rebuild",
        "nimclient-push",
        "route-change",
        "dump-discovery",
    }
    assert code == 0, found


def test_everything_holds_on_a_compute_node_as_we_think(config, aix, site):
    import dataclasses

    from xcat_aix_proto.identity import Role

    (config.root / "etc/niminfo").write_text(
        "export NIM_NAME=n1\nexport NIM_CONFIGURATION=standalone\nexport NIM_MASTER_HOSTNAME=sn1\n"
    )
    aix.programs["nimclient"] = lambda _argv: "n1:\n   class = machines\n"
    code, found = findings(dataclasses.replace(config, role=Role.CN), aix)
    assert code == 0, found
    for name in ("niminfo-client", "niminfo-master-name", "nimclient-query"):
        assert found[name]["result"] == "holds"
    assert found["lsnim-several"]["seen"] == "this host is no service node"


def only(text, **others):
    """lsnim as it should be, but for these forms."""

    def program(argv):
        if len(argv) == 1:
            return text or LSNIM
        if "-Z" in argv and "z" in others:
            return others["z"]
        if checks._NOBODY in argv and "missing" in others:
            return others["missing"]
        return others["long"] if "long" in others else lsnim(argv)

    return program


@pytest.mark.parametrize(
    ("check", "program", "answer"),
    [
        ("lsnim-columns", "lsnim", only("Name Class Type Extra\n" + LSNIM)),
        ("lsnim-master-first", "lsnim", only("sp resources spot\nmaster machines master\n")),
        ("nim-names", "lsnim", only(LSNIM + "x" * 40 + " resources spot\n")),
        ("lsnim-several", "lsnim", only("", long="master:\n   class = machines\n")),
        ("lsnim-stanza", "lsnim", only("", long="n1:\nclass machines\n")),
        ("lsnim-missing", "lsnim", only("", missing=(1, "0042-053 no object\n", ""))),
        ("lsnim-partly-missing", "lsnim", only("", missing=(53, "", "0042-053 no object\n"))),
        ("lsnim-if", "lsnim", only("", long="n1:\n   class = machines\n   if1 = nohost. net 0\n")),
        ("lsnim-z-if", "lsnim", only("", z="master:\n")),
        ("ifconfig", "ifconfig", lambda _argv: "en0\n"),
        ("netstat-in", "netstat", lambda argv: NETSTAT_RN),
        ("adapters", "ifconfig", lambda _argv: IFCONFIG.replace("en0", "ib0")),
        ("netstat-rn", "netstat", lambda argv: "Kernel IP routing table\n"),
        ("bootlist", "bootlist", lambda _argv: "ent0\n"),
        ("oslevel", "oslevel", lambda _argv: "7.3\n"),
        ("df", "df", lambda _argv: "Filesystem 1M-blocks Used Available Use% Mounted on\n"),
        ("lockf", checks.sys.executable.rpartition("/")[2], lambda _argv: "free\n"),
    ],
)
def test_a_wrong_assumption_is_found(config, aix, check, program, answer):
    aix.programs[program] = answer
    code, found = findings(config, aix)
    assert found[check]["result"] == "does not hold", found[check]
    assert code == 1


def test_missing_things_are_found(config, aix):
    (config.root / "etc/niminfo").write_text("export NIM_CONFIGURATION=standalone\n")
    (config.root / "xcatpost").rmdir()
    from pathlib import Path

    (Path(config.path) / "niminit").unlink()
    (Path(config.path) / "mkdev").unlink()
    _, found = findings(config, aix)
    for name in ("niminfo-master", "postscripts", "commands", "dump-commands", "niminfo-client"):
        assert found[name]["result"] == "does not hold", found[name]
    assert "niminit" in found["commands"]["seen"]


def test_text_names_each_check_and_counts(config, aix):
    output = io.StringIO()
    selfcheck.main(config, as_json=False, output=output, commands=aix)
    text = output.getvalue()
    assert all(f" {check.name}: " in text for check in checks.CHECKS)
    assert text.splitlines()[-1] == "22 holds, 0 does not hold, 7 cannot tell"


def test_it_only_looks(config, aix):
    findings(config, aix)
    changing = {"niminit", "nim", "route", "mkdev", "sysdumpdev", "c_disc_target", "c_config_dump"}
    assert not changing & {argv[0] for argv in aix.ran}
    assert all("-o" in argv for argv in aix.ran if argv[0] == "bootlist")
