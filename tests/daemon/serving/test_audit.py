"""What is recorded of a command, and what of it must not be."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from pathlib import Path

import pytest

from xcatd import secrets
from xcatd.db.errors import DatabaseError
from xcatd.serving.audit import OF_ALL, OF_SOURCE, PERIOD, AuditRecord, AuditWriter, masked, record
from xcatd.site import Settings
from xcatd.wire.requests import Incoming

X = "xxxxxxxx"


@pytest.mark.parametrize(
    ("command", "args", "shown"),
    [
        (
            "chdef",
            ["-t", "node", "password=s3", "mgt=ipmi"],
            ["-t", "node", f"password={X}", "mgt=ipmi"],
        ),
        ("chdef", ["bmcpassword=a b"], [f"bmcpassword={X}"]),
        ("tabch", ["key=system", "passwd.password=x"], ["key=system", f"passwd.password={X}"]),
        ("nodech", ["n1", "ipmi.password=x"], ["n1", f"ipmi.password={X}"]),
        ("lsdef", ["-w", "password==x"], ["-w", f"password={X}"]),
        ("lsdef", ["-i", "password,mgt"], ["-i", "password,mgt"]),
        ("chdef", ["mycommunity=x"], ["mycommunity=x"]),
        ("chdef", ["mypassword=x"], [f"mypassword={X}"]),
        ("chdef", ["passwd.HMC=x"], [f"passwd.HMC={X}"]),
        ("tabch", ["key=system", "passwd.username=x"], ["key=system", "passwd.username=x"]),
        ("chtab", ["key=snmpc", "site.value=public"], ["key=snmpc", f"site.value={X}"]),
        ("chtab", ["key=master", "site.value=mn"], ["key=master", "site.value=mn"]),
        ("bmcdiscover", ["-p", "s", "-u", "root"], ["-p", X, "-u", "root"]),
        ("bmcdiscover", ["-ps", "-n", "t"], [f"-p{X}", "-n", X]),
        ("bmcdiscover", ["-zp", "s"], ["-zp", X]),
        ("bmcdiscover", ["-u", "-p"], ["-u", "-p"]),
        ("bmcdiscover", ["-upper"], ["-upper"]),
        ("mkhwconn", ["-P", "s", "-p", "7"], ["-P", X, "-p", "7"]),
        ("mkvm", ["--password", "s"], ["--password", X]),
        ("mkvm", ["--password=s", "-w", "t"], [f"--password={X}", "-w", X]),
        ("mkvm", ["--pass", "s"], ["--pass", X]),
        ("mkvm", ["pw=s"], [f"pw={X}"]),
        ("rspconfig", ["*_passwd=a,b", "HMC_passwd=c"], [f"*_passwd={X}", f"HMC_passwd={X}"]),
        ("chvm", ["--setpassword", "s", "t"], ["--setpassword", X, "t"]),
        ("snmove", ["-s", "sn1", "-p", "x"], ["-s", "sn1", "-p", "x"]),
        ("x", [None, ""], ["", ""]),
    ],
)
def test_secrets_are_masked(command: str, args: list[str | None], shown: list[str]) -> None:
    assert list(masked(command, args)) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("authkey", "bmcpassword", "community", "domainadminpassword", "iscsipassword"),
        *("password", "privkey", "productkey", "snmpc", "snmppassword", "tokenid"),
        *("passwd.admin", "passwd.celogin", "passwd.general", "passwd.hscroot"),
        *("domain.adminpassword", "iscsi.passwd", "mpa.password", "openbmc.password"),
        *("passwd.password", "pdu.authkey", "pdu.community", "pdu.password", "pdu.privkey"),
        *("ppcdirect.password", "ppchcp.password", "prodkey.key", "switches.password"),
        *("switches.sshpassword", "token.tokenid", "vm.vidpassword", "websrv.password"),
    ],
)
def test_whatever_is_a_secret_to_selections_is_one_to_records(name: str) -> None:
    assert secrets.is_secret_name(name)
    assert masked("tabch", ["node=n1", f"{name}=x"]) == ("node=n1", f"{name}={X}")


def _record(incoming: Incoming, user: str | None = "root", **site: str) -> AuditRecord:
    return record(incoming, user, "mn", Settings.of({"xcatdport": "0", **site}))


ECHO = Incoming("echo", ("a",), noderange="n1", clienttype="cli")
ROW = {
    "userid": "root",
    "clientname": "mn",
    "clienttype": "cli",
    "command": "echo",
    "noderange": "n1",
    "args": " a",
    "status": "Allowed",
}


def test_row_and_line() -> None:
    assert _record(ECHO) == AuditRecord(ROW, "xCAT: Allowing echo to n1 a for root from mn")


def test_of_nobody_only_what_is_known_is_kept() -> None:
    entry = _record(Incoming("lsxcatd", nodes=("n1", "n2")), None)
    assert entry.source == "mn"
    assert entry.line == "xCAT: Allowing lsxcatd to n1,n2 from mn"
    assert entry.row == {
        "clientname": "mn",
        "clienttype": "other",
        "command": "lsxcatd",
        "status": "Allowed",
    }


@pytest.mark.parametrize("command", ["getdestiny", "getcons", "getipmicons", "get"])
def test_frequent_commands_are_never_recorded(command: str) -> None:
    assert _record(Incoming(command)) == AuditRecord(None, None)


def test_some_go_to_syslog_only() -> None:
    entry = _record(Incoming("getpostscript"))
    assert entry.row is None
    assert entry.line is not None
    assert _record(Incoming("getcredentials"), skipvalidatelog="1") == AuditRecord(None, None)


@pytest.mark.parametrize(
    ("skip", "is_skipped"),
    [
        ("ALL", True),
        ("install", True),
        ("echo", True),
        ("nodels,echoes", True),
        ("nodels", False),
        ("clienttype:cli", True),
        ("clienttype:web", False),
    ],
)
def test_the_site_can_skip_rows(skip: str, is_skipped: bool) -> None:
    entry = _record(ECHO, auditskipcmds=skip)
    assert (entry.row is None) is is_skipped
    assert entry.line is not None


def test_the_site_can_skip_syslog() -> None:
    assert _record(ECHO, auditnosyslog="1") == AuditRecord(ROW, None)
    assert _record(ECHO, auditnosyslog="0").line is not None


NOW = dt.datetime(2026, 11, 23, 14, 5, 6, tzinfo=dt.UTC)


def test_rows_are_written_in_order_with_local_time() -> None:
    written: list[dict[str, str]] = []
    writer = AuditWriter(written.extend, lambda: NOW)
    for number in range(1000):
        writer.write(AuditRecord({"args": str(number)}, None))
    assert writer.close(10)
    assert [row["args"] for row in written] == [str(number) for number in range(1000)]
    assert written[0]["audittime"] == NOW.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def test_a_database_that_fails_is_said_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    def insert(rows: list[dict[str, str]]) -> None:
        raise DatabaseError("locked")

    writer = AuditWriter(insert, lambda: NOW)
    writer.write(AuditRecord({"args": "x"}, None))
    assert writer.flush(10)
    assert "cannot write 1 auditlog rows" in caplog.text
    assert writer.close(10)


def test_a_full_queue_is_said_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    writer = AuditWriter(lambda _: gate.wait(10) and None, lambda: NOW, backlog=2)
    for _ in range(400):
        writer.write(AuditRecord({"args": "x"}, None))
    assert "an auditlog row is lost" in caplog.text
    gate.set()
    assert writer.close(10)


def test_nothing_is_started_for_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    writer = AuditWriter(lambda _: None, lambda: NOW)
    writer.write(AuditRecord(None, "line"))
    assert threading.active_count() == before
    assert writer.close(0)


def test_what_is_kept_of_an_endless_request_is_bounded() -> None:
    incoming = Incoming(command="lsdef", args=("x" * 100_000,), noderange="n" * 100_000)
    kept = record(incoming, "root", "mn", Settings({}))
    assert kept.line is not None and kept.row is not None
    assert len(kept.line) < 9_000 and kept.line.endswith(" for root from mn")
    assert "... (100000 characters)" in kept.line
    assert all(len(value) < 61_000 for value in kept.row.values())


# -- of hosts without certificate --------------------------------------------------------------


def test_little_is_kept_of_a_request_without_certificate() -> None:
    incoming = Incoming(
        command="lsxcatd", args=("x" * 100_000,), noderange="n" * 100_000, clienttype="c" * 100_000
    )
    kept = record(incoming, None, "host", Settings({}))
    assert kept.line is not None and kept.row is not None
    assert kept.source == "host"
    assert len(kept.line) + sum(map(len, kept.row.values())) < 2_000
    named = record(incoming, "root", "host", Settings({}))
    assert named.source is None and named.row is not None
    assert len(named.row["clienttype"]) == 64


def _of(host: str, user: str | None = None) -> AuditRecord:
    settings = Settings.of({"xcatdport": "0"})
    return record(Incoming("lsxcatd"), user, host, settings)


def test_a_flood_without_certificate_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rows: list[dict[str, str]] = []
    now = [0.0]
    writer = AuditWriter(rows.extend, lambda: NOW, monotonic=lambda: now[0])
    for _ in range(5_000):
        writer.write(_of("bad"))
    for _ in range(100):
        writer.write(_of("mn", "root"))
    writer.write(_of("good"))
    assert writer.flush(10)
    assert Counter(row["clientname"] for row in rows) == {"bad": OF_SOURCE, "mn": 100, "good": 1}
    now[0] = PERIOD
    writer.write(_of("bad"))
    assert writer.close(10)
    told = [row for row in rows if row["command"] == "(not recorded)"]
    text = f"{5_000 - OF_SOURCE} more requests without certificate within 60 s"
    assert [(row["clientname"], row["args"]) for row in told] == [("bad", f" {text}")]
    assert rows[-1]["command"] == "lsxcatd"  # a new period has begun
    lines = [record.getMessage() for record in caplog.records]
    assert f"xCAT: Allowing {text} from bad, not recorded one by one" in lines
    assert len(lines) == OF_SOURCE + 100 + 1 + 1 + 1


def test_the_number_is_told_without_another_request() -> None:
    rows: list[dict[str, str]] = []
    now = [0.0]
    writer = AuditWriter(rows.extend, lambda: NOW, monotonic=lambda: now[0])
    for _ in range(OF_SOURCE + 1):
        writer.write(_of("bad"))
    assert writer.flush(10)
    now[0] = PERIOD
    assert writer.flush(10)  # wakes the writer, as the end of the period does
    assert writer.flush(10)
    assert writer.close(10)
    assert [row["command"] for row in rows[OF_SOURCE:]] == ["(not recorded)"]


def test_many_sources_are_cut_together() -> None:
    rows: list[dict[str, str]] = []
    writer = AuditWriter(rows.extend, lambda: NOW, monotonic=lambda: 0.0)
    for number in range(5_000):
        writer.write(_of(f"host{number}"))
    assert writer.close(10)
    kept = [row for row in rows if row["command"] == "lsxcatd"]
    told = [row for row in rows if row["command"] == "(not recorded)"]
    assert len(kept) <= OF_ALL
    assert len(told) <= 1_025
    assert len(kept) + sum(int(row["args"].split()[0]) for row in told) == 5_000


def test_a_machine_without_auditlog_gets_no_row_of_it_either() -> None:
    rows: list[dict[str, str]] = []
    writer = AuditWriter(rows.extend, lambda: NOW, monotonic=lambda: 0.0)
    for _ in range(OF_SOURCE + 5):
        writer.write(_of("bad").without_row())
    assert writer.close(10)
    assert rows == []
