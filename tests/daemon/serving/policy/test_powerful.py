"""What is as good as being root needs a row restricted in nothing; secrets are not told by yes and no."""

from __future__ import annotations

import pytest
from tests.daemon.serving.conftest import Cluster
from tests.daemon.serving.policy.test_order import DENIED, ask

FORBIDDEN = "Permission denied"


@pytest.mark.parametrize(
    ("user", "command", "args"),
    [
        ("writer", "regnotif", ("/tmp/x", "nodelist")),
        ("writer", "unregnotif", ("/tmp/x",)),
        ("writer", "tabprune", ("auditlog", "-a")),
        ("reader", "tabdump", ("-f", "/tmp/x", "nodelist")),
        ("writer", "tabch", ("key=master", "site.value=x")),
        ("writer", "tabch", ("priority=0", "policy.rule=allow", "policy.name=writer")),
        ("writer", "tabch", ("-d", "priority=1", "policy")),
        ("writer", "tabch", ("filename=/x", "notification.tables=site")),
        ("writer", "tabch", ("tokenid=1", "token.username=root")),
        ("writer", "tabch", ("key=xcat,username=root", "passwd.password=x")),
        ("writer", "tabch", ("node=n1", "postscripts.postscripts=x")),
        ("writer", "tabch", ("node=n1", "prescripts.begin=x")),
        ("writer", "tabch", ("node=n1", "ipmi.bmc=x", "postscripts.comments=x")),
        ("writer", "chdef", ("-t", "site", "master=x")),
        ("writer", "chdef", ("n1", "postscripts=x")),
        ("writer", "chdef", ("-t", "group", "compute", "postbootscripts=x")),
        ("writer", "mkdef", ("-t", "policy", "0.5", "name=writer", "rule=allow")),
        ("writer", "mkdef", ("-t", "node", "n9", "groups=all", "prescripts-begin=x")),
        ("writer", "mkdef", ("-t", "notification", "/x", "tables=site")),
        ("writer", "rmdef", ("-t", "policy", "1")),
        ("writer", "tabch", ("-d", "userid=root", "auditlog")),
        ("writer", "tabch", ("recid=4242", "auditlog.userid=root", "auditlog.status=allowed")),
        ("writer", "tabch", ("-d", "eventtype=x", "eventlog")),
        ("reader", "tabdump", ("token",)),
        ("reader", "tabdump", ("passwd",)),
        ("reader", "gettab", ("username=root", "token.tokenid")),
        ("reader", "gettab", ("key=xcat", "passwd.username")),
        ("writer", "chdef", ("-m", "n1", "bmcpassword=wrong")),
        ("writer", "chdef", ("-m", "n1", "bmcpassword=s3cret-one")),
    ],
)
def test_a_restricted_row_does_not_make_root(
    standing: Cluster, user: str, command: str, args: tuple[str, ...]
) -> None:
    tables = ("site", "policy", "notification", "token", "passwd", "postscripts", "prescripts")
    before = [standing.rows(name) for name in (*tables, "ipmi", "nodelist")]
    said = ask(standing, user, command, *args)
    assert FORBIDDEN in said
    assert "<errorcode>" in said
    assert [standing.rows(name) for name in (*tables, "ipmi", "nodelist")] == before


@pytest.mark.parametrize("table", ["site", "policy", "passwd", "token", "auditlog"])
def test_restoring_such_a_table_is_refused(standing: Cluster, table: str) -> None:
    before = standing.rows(table)
    headers = {
        "site": "#key,value",
        "policy": "#priority,name,rule",
        "passwd": "#key,username,password",
        "token": "#tokenid,username",
        "auditlog": "#recid,userid",
    }
    header = headers[table]
    data = f'<table>{table}</table><data>{header}</data><data>"a","b"</data>'
    assert FORBIDDEN in standing.command("tabrestore", more=data, user="writer")
    kept = "<keepcolumns>1</keepcolumns>"
    assert FORBIDDEN in standing.command("tabrestore", more=data + kept, user="writer")
    assert standing.rows(table)[: len(before)] == before  # the log has a new row about this


def test_keeping_what_is_not_xcats_is_powerful(standing: Cluster) -> None:
    """It makes tables and columns, and keeps names that no node can have."""
    data = '<table>nodelist</table><data>#node,groups</data><data>"$(id)","all"</data>'
    more = f"{data}<addrows>1</addrows><keepcolumns>1</keepcolumns>"
    assert FORBIDDEN in standing.command("tabrestore", more=more, user="writer")
    assert "$(id)" not in {row["node"] for row in standing.rows("nodelist")}


def test_a_stanza_is_no_way_around(standing: Cluster) -> None:
    before = standing.rows("site")
    stanza = "n1:\n  objtype=node\n  arch=x\n\nclustersite:\n  objtype=site\n  master=evil\n"
    assert FORBIDDEN in ask(standing, "writer", "chdef", "-z", stdin=stanza)
    assert standing.rows("site") == before
    assert standing.rows("nodetype") == []


def test_scripts_are_not_removed_either(doors: Cluster) -> None:
    doors.write("postscripts", {"node": "n1", "postscripts": "secure"})
    assert FORBIDDEN in ask(doors, "writer", "noderm", noderange="n1")
    assert "n1" in {row["node"] for row in doors.rows("nodelist")}
    assert FORBIDDEN not in ask(doors, "writer", "noderm", noderange="n2")
    assert "n2" not in {row["node"] for row in doors.rows("nodelist")}


def test_whoever_is_restricted_in_nothing_may(doors: Cluster) -> None:
    assert DENIED not in ask(doors, "root", "chdef", "-t", "site", "useflowcontrol=no")
    assert "useflowcontrol" in {row["key"] for row in doors.rows("site")}


# -- secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "command", "args", "noderange"),
    [
        ("reader", "nodels", (), "ipmi.password=~^s3"),
        ("reader", "nodels", (), "n1,@ipmi.password==s3cret-one"),
        ("reader", "nodels", ("ipmi.password=~^s",), "n1"),
        ("reader", "nodels", ("ipmi.password!~^s",), "n1"),
        ("reader", "lsdef", ("-t", "node", "-w", "bmcpassword=~^s"), None),
        ("reader", "lsdef", ("-t", "node", "-w", "bmcpassword==s3cret-one"), None),
        ("reader", "lsdef", ("-o", "ipmi.password=~^s"), None),
        ("reader", "lsdef", ("ipmi.password!~^x",), None),
        ("reader", "gettab", ("password=s3cret-one", "ipmi.node"), None),
        ("reader", "tabdump", ("-w", "password=~s3%", "ipmi"), None),
        ("reader", "tabdump", ("-w", "password<t", "ipmi"), None),
        ("writer", "nodech", ("ipmi.password==s3cret-one", "ipmi.bmc=x"), "n1"),
        ("writer", "tabch", ("password=s3cret-one", "ipmi.comments=x"), None),
        ("writer", "tabch", ("-d", "password=s3cret-one", "ipmi"), None),
        ("writer", "mkdef", ("-t", "group", "g", "-w", "bmcpassword=~^s"), None),
        ("writer", "mkdef", ("-t", "group", "g", "-d", "-w", "bmcpassword=~^s"), None),
    ],
)
def test_nothing_is_chosen_by_a_secret(
    standing: Cluster, user: str, command: str, args: tuple[str, ...], noderange: str | None
) -> None:
    before = [standing.rows(name) for name in ("ipmi", "nodelist", "nodegroup", "nodetype")]
    more = {} if noderange is None else {"noderange": noderange}
    said = ask(standing, user, command, *args, **more)
    assert FORBIDDEN in said
    assert "n1" not in said.replace("n1-", "").split("Permission", maxsplit=1)[0]
    assert [standing.rows(name) for name in ("ipmi", "nodelist", "nodegroup", "nodetype")] == before


def test_a_dynamic_group_is_no_way_around(doors: Cluster) -> None:
    assert FORBIDDEN not in ask(
        doors, "writer", "chdef", "-t", "group", "-o", "sly", "grouptype=dynamic",
        "wherevals=bmcpassword=~^s3cret-o",
    )  # fmt: skip
    for said in (
        ask(doors, "reader", "nodels", noderange="sly"),
        ask(doors, "reader", "lsdef", "-t", "group", "sly", "-i", "members"),
        ask(doors, "reader", "lsdef", "sly"),
    ):
        assert FORBIDDEN in said
        assert "n1" not in said
    assert "n1" in ask(doors, "root", "nodels", noderange="sly")


def test_a_secret_may_still_be_set(doors: Cluster) -> None:
    assert FORBIDDEN not in ask(doors, "writer", "chdef", "n1", "bmcpassword=new")
    assert "new" in {row.get("password") for row in doors.rows("ipmi")}
