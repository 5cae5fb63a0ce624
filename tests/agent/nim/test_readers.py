"""Readers of NIM's and AIX's output, with samples in the formats of docs/facts/nim.md, lsnim;
docs/facts/aix.md, Interfaces and adapters; Routes."""

from __future__ import annotations

import pytest

from xcat_aix_agent.nim import commands, lsnim, netparse, niminfo
from xcat_aix_agent.operations import bootlist, xcatinfo
from xcat_aix_proto.facts import Interface, NimObject, Route, Space
from xcat_aix_proto.operations import SetBootlist, SetDumpDevice

STANZAS = """\
aix05:
   class          = machines
   type           = standalone
   connect        = nimsh
   if1            = net_10_192_168_0 aix05 0
   Cstate         = ready for a NIM operation
   comments       =
   spot           = spot72
   boot           = boot
   spot           = other
   err_info       = first line
second line
        third line
7200-05:
   class          = resources
   location       = /export/spot/7200-05/usr
"""


def test_stanzas_keep_order_repetition_and_continued_values():
    machine, spot = lsnim.stanzas(STANZAS)
    assert machine.name == "aix05"
    assert machine.get("Cstate") == "ready for a NIM operation"
    assert machine.get("comments") == ""
    assert machine.get("none") is None
    assert [value for name, value in machine.attributes if name == "spot"] == ["spot72", "other"]
    assert machine.get("err_info") == "first line\nsecond line\nthird line"
    assert spot == NimObject(
        "7200-05", (("class", "resources"), ("location", "/export/spot/7200-05/usr"))
    )


def test_stanzas_of_nothing():
    assert lsnim.stanzas("") == ()
    assert lsnim.stanzas('0042-053 lsnim: there is no NIM object named "x"\n') == ()


def test_value_may_hold_an_equals_sign_and_colons():
    (found,) = lsnim.stanzas("n:\n   routing1       = default 10.1.0.1\n   info = a = b: c:\n")
    assert found.get("info") == "a = b: c:"


def test_listing():
    text = "master       machines       master\nboot         resources      boot\n\nodd\n"
    assert lsnim.listing(text) == (
        ("master", "machines", "master"),
        ("boot", "resources", "boot"),
    )


@pytest.mark.parametrize(
    ("text", "attributes", "expected"),
    [
        (
            "#name:Cstate:info:\nvios:ready:success:\n",
            ["Cstate", "info"],
            {"Cstate": "ready", "info": "success"},
        ),
        # A value is missing: which one cannot be told.
        ("#name:Cstate:info:Cstate_result:\nvios:ready:success:\n", ["Cstate", "info", "r"], None),
        # One attribute per call: everything is its value.
        ("#name:err_info:\nvios:a: b:c:\n", ["err_info"], {"err_info": "a: b:c"}),
        ("#name:comments:\nvios:\n", ["comments"], {}),
        ("#name:a:\nother:1:\n", ["a"], None),
    ],
)
def test_colon_rows(text, attributes, expected):
    assert lsnim.colon_row(text, "vios", attributes) == expected


def test_hosts_of_a_machine_in_both_spellings():
    machine = NimObject(
        "n1",
        (
            ("class", "machines"),
            ("if1", "master_net n1 AED8E7E90202 ent0"),
            ("if2", "net2:n1-b:0:"),
            ("if1_name", "x y"),
            ("iface", "x y"),
        ),
    )
    assert lsnim.hosts(machine) == ("n1", "n1-b")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            (
                '0042-001 nim: processing error encountered on "master":\n'
                '   0042-052 m_rmmac: unable to remove "aix05" because resources\n'
                "        have been allocated to it\n"
            ),
            '0042-052 m_rmmac: unable to remove "aix05" because resources have been allocated to it',
        ),
        ("something else\n  last words\n\n", "last words"),
        ("", "it said nothing"),
    ],
)
def test_innermost_message(output, expected):
    assert lsnim.message(output) == expected


NIMINFO = """\
#------------------ Network Install Manager ---------------
# warning - this file contains NIM configuration information
export NIM_NAME=n1
export NIM_SHELL="nimsh"
NIM_MASTER_HOSTNAME='sn1.cluster'
export NIM_MOUNTS=""
export NIM_HOSTS="127.0.0.1:loopback:localhost  10.0.0.1:sn1"
not an assignment
export 9X=1
"""


def test_niminfo():
    assert niminfo.parse(NIMINFO) == {
        "NIM_NAME": "n1",
        "NIM_SHELL": "nimsh",
        "NIM_MASTER_HOSTNAME": "sn1.cluster",
        "NIM_MOUNTS": "",
        "NIM_HOSTS": "127.0.0.1:loopback:localhost  10.0.0.1:sn1",
    }


IFCONFIG = """\
en0: flags=1e084863,480<UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT>
\tinet 10.1.0.11 netmask 0xffffff00 broadcast 10.1.0.255
\tinet 10.1.1.11 netmask 0xffff0000 broadcast 10.1.255.255
\t tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1
lo0: flags=e08084b,c0<UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT>
\tinet 127.0.0.1 netmask 0xff000000 broadcast 127.255.255.255
\tinet6 ::1%1/128
"""


def test_interfaces():
    assert netparse.interfaces(IFCONFIG) == (
        Interface("en0", "10.1.0.11", "255.255.255.0"),
        Interface("en0", "10.1.1.11", "255.255.0.0"),
        Interface("lo0", "127.0.0.1", "255.0.0.0"),
        Interface("lo0", "::1", "128"),
    )


NETSTAT_RN = """\
Routing tables
Destination        Gateway           Flags   Refs     Use  If   Exp  Groups

Route Tree for Protocol Family 2 (Internet):
default            10.1.0.1          UG        1      4711 en0      -      -
default            10.2.0.1          UG        1        11 en1      -      -
10.1.0.0           10.1.0.11         UHSb      0         0 en0      -      -   =>
10.1/24            10.1.0.11         U         6     90210 en0      -      -
127/8              127.0.0.1         U         4      2113 lo0      -      -

Route Tree for Protocol Family 24 (Internet v6):
::1%1              ::1%1             UH        1        12 lo0      -      -
"""


def test_routes():
    found = netparse.routes(NETSTAT_RN)
    assert found[0] == Route("default", "10.1.0.1", "en0")
    assert Route("10.1/24", "10.1.0.11", "en0") in found
    assert netparse.default_gateways(NETSTAT_RN) == ("10.1.0.1", "10.2.0.1")


NETSTAT_IN = """\
Name  Mtu   Network     Address            Ipkts Ierrs    Opkts Oerrs  Coll
en0   1500  link#2      0.9.6b.6e.e7.1a   184467     0    97345     0     0
en0   1500  10.1        10.1.0.11         184467     0    97345     0     0
et1*  1500  10.2        10.2.0.1          184467     0    97345     0     0
lo0   16896 link#1                          2113     0     2113     0     0
lo0   16896 127         127.0.0.1           2113     0     2113     0     0
"""


@pytest.mark.parametrize(
    ("address", "interface"),
    [("10.1.0.11", "en0"), ("10.2.0.1", "et1"), ("10.1.0.1", None), ("10.1.0.111", None)],
)
def test_interface_of_an_address(address, interface):
    assert netparse.interface_of(NETSTAT_IN, address) == interface


@pytest.mark.parametrize(
    ("interface", "adapter"),
    [
        ("en0", "ent0"),
        ("et12", "ent12"),
        ("hf1", "hfi1"),
        ("lo0", None),
        ("enX", None),
        ("", None),
        ("ent0", None),
    ],
)
def test_adapter_of_an_interface(interface, adapter):
    assert netparse.adapter_of(interface) == adapter


def test_space():
    text = (
        "Filesystem    MB blocks      Free %Used    Iused %Iused Mounted on\n"
        "/dev/hd4        2048.00   1024.99   50%    12345     6% /\n"
        "/proc                 -         -    -         -     -  /proc\n"
        "sn1:/export     9999.00     10.00   99%      100     1% /mnt\n"
    )
    assert netparse.space(text) == (Space("/", 1024), Space("/mnt", 10))


@pytest.mark.parametrize(
    ("text", "device", "values"),
    [
        (
            "ent0 gateway=10.0.0.1 bserver=10.0.0.2\nhdisk0 blv=hd5\n",
            "ent0",
            {"gateway": "10.0.0.1", "bserver": "10.0.0.2"},
        ),
        ("hdisk0 blv=hd5 pathid=0\n", "hdisk0", {"blv": "hd5", "pathid": "0"}),
        ("", "", {}),
    ],
)
def test_bootlist_entry(text, device, values):
    assert bootlist.entry(text) == (device, values)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "XCATSERVER=10.0.0.9\n"),
        ("A=1\nXCATSERVER=10.0.0.1\nB=2\n", "A=1\nXCATSERVER=10.0.0.9\nB=2\n"),
        ("XCATSERVER=1\nA=1\nXCATSERVER=2", "XCATSERVER=10.0.0.9\nA=1\n"),
        ("A=1", "A=1\nXCATSERVER=10.0.0.9\n"),
        ("#XCATSERVER=1\n XCATSERVER=2\n", "#XCATSERVER=1\n XCATSERVER=2\nXCATSERVER=10.0.0.9\n"),
    ],
)
def test_xcatinfo_changes_one_line(before, after):
    assert xcatinfo.with_server(before, "10.0.0.9") == after
    assert xcatinfo.server(after) == "10.0.0.9"


def test_batches_of_names_fit_and_lose_none():
    names = [f"node{number:05d}" for number in range(9000)]
    batches = commands.batches(names)
    assert [name for batch in batches for name in batch] == names
    assert 1 < len(batches) < 10
    assert all(sum(len(name) + 1 for name in batch) <= 16 * 1024 for batch in batches)
    assert commands.batches([]) == ()


def test_argv():
    boot = SetBootlist("10.0.0.5", "10.0.0.2", "10.0.0.1")
    assert commands.set_bootlist("ent0", boot) == (
        [
            "bootlist",
            "-m",
            "normal",
            "ent0",
            "gateway=10.0.0.1",
            "bserver=10.0.0.2",
            "client=10.0.0.5",
        ]
    )
    assert (
        commands.set_bootlist("ent0", SetBootlist("10.0.0.5", "10.0.0.2"))[4] == "bserver=10.0.0.2"
    )
    dump = SetDumpDevice("iqn.x", "0x1", "10.0.0.2", "full")
    assert commands.discover_dump(dump) == [
        "c_disc_target",
        "-a",
        "operation=discover",
        "-a",
        "target=iqn.x",
        "-a",
        "dump_port=32600",
        "-a",
        "ipaddr=10.0.0.2",
        "-a",
        "lun_id=0x1",
    ]
    assert commands.configure_dump(dump)[:3] == ["c_config_dump", "-a", "configdump=full"]
