"""Whatever a request says and wherever it says it: rows are written of judged nodes alone."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.daemon.serving.conftest import Authority, Cluster, _prepare, read_answer, request
from tests.daemon.serving.policy.conftest import TABLES as SAMPLE
from tests.daemon.serving.policy.conftest import fill, start

from xcatd.db.database import Database
from xcatd.db.schema import TABLES
from xcatd.plugins import PluginHost

COMMANDS = sorted(PluginHost.load().commands)

#: What the user "few" may touch.
JUDGED = "n1"

_NODES = st.sampled_from(
    ["n1", "n2", "n1,n2", "compute", "/n.*", "n[1-3]", "n9", "n1+2", "all,-n1"]
)

#: Command lines that write; ``{}`` stands for nodes.
_WRITING = (
    *(
        "chdef -t node -o {} arch=x",
        "chdef {} groups=new",
        "chdef -p {} groups=new",
        "chdef {} -n n8",
    ),
    *("chdef -t group -o compute arch=x", "chdef -t site master=x", "chdef -z", "mkdef -z"),
    *("mkdef -t node -o {} groups=all", "mkdef -f {} groups=all", "mkdef -t group g members={}"),
    *("rmdef {}", "rmdef -t node -o {}", "rmdef -a -f", "rmdef -t group compute"),
    *("nodech ipmi.bmc=x", "nodech groups,=new", "nodech -d ipmi", "nodech -d nodelist", "noderm"),
    *("nodeadd {} groups=all ipmi.bmc=x", "nodegrpch compute ipmi.bmc=x", "nodegrpch -d {} ipmi"),
    *("tabch node={} ipmi.bmc=x", "tabch -d node={} ipmi", "tabch key=master site.value=x"),
    *("tabch nodelist.node=n7 nodelist.groups=x", "tabprune auditlog -a", "tabprune ipmi -a"),
    *("snmove {} -d sn2 -i --force", "snbalance {} sn1,sn2 -i --force", "snmove -s sn1 -i --force"),
    *("regnotif /bin/true nodelist", "tabrestore", "plans --abandon snmove-1"),
)
_STANZAS = st.none() | st.builds(
    "{0}:\n    objtype={1}\n    {2}=x\n".format,
    st.sampled_from(["n1", "n2", "n9", "clustersite", "all"]),
    st.sampled_from(["node", "group", "site"]),
    st.sampled_from(["arch", "groups", "master", "postscripts", "members"]),
)
_LINES = st.sampled_from([(), ("#node,groups", '"n2","x"'), ("#key,value", '"master","x"')])


@st.composite
def _requests(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from(_WRITING)).format(draw(_NODES))
    command, *args = line.split()
    args += draw(st.lists(st.sampled_from(["-f", "-V", "n2", "-t", "-S", "--dry-run"]), max_size=1))
    more = [("noderange", draw(st.sampled_from(["n1", "n1", "n1", "n1,n2", "n9", "compute"])))]
    more += [("node", draw(_NODES)) for _ in range(draw(st.sampled_from([0, 0, 0, 1])))]
    if (stdin := draw(_STANZAS)) is not None and "-z" in args:
        more.append(("stdin", stdin))
    more += [("data", text) for text in draw(_LINES) if command == "tabrestore"]
    more += [("table", draw(st.sampled_from(["nodelist", "site", "ipmi"])))]
    elements = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in more)
    return request(command, *map(escape, args), more=elements)


def test_every_command_that_there_is_was_thought_of() -> None:
    reading = {"lsdef", "nodels", "lsxcatd", "tabdump", "gettab", "tabgrep", "rnoderange"}
    assert {line.split()[0] for line in _WRITING} | reading | {"unregnotif"} >= set(COMMANDS)


def _others(cluster: Cluster) -> dict[str, list[tuple[str | None, ...]]]:
    """Every row that is not of the judged node."""
    database = Database.open(cluster.location)
    try:
        snapshot = database.read(set(TABLES) - {"auditlog"})
        return {
            name: [
                tuple(row.values())
                for row in snapshot.rows(name, include_disabled=True)
                if table.node_column is None or row[table.node_column] != JUDGED
            ]
            for name, table in TABLES.items()
            if name != "auditlog"
        }
    finally:
        database.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, authority: Authority, filled):
    directory = _prepare(tmp_path_factory.mktemp("scope") / "top", authority, filled)
    fill(directory / "db", SAMPLE)
    found = start(directory, authority)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> dict[str, list[tuple[str | None, ...]]]:
    return _others(cluster)


@pytest.mark.timeout(180)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(_requests(), min_size=8, max_size=8))
def test_only_rows_of_judged_nodes_are_written(
    cluster: Cluster, before: dict[str, list[tuple[str | None, ...]]], documents: list[str]
) -> None:
    with cluster.tls("few") as sock:
        for document in documents:
            sock.sendall(document.encode())
            assert "Traceback" not in read_answer(sock)
    assert _others(cluster) == before
