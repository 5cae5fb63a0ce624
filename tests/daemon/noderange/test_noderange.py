"""What the worked examples do not show: bounds, files, dynamic groups, exclusion, tables, algebra."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from xcatd import noderange
from xcatd.db.snapshot import Snapshot
from xcatd.noderange import ranges, selection
from xcatd.text import brackets, perlre

from .clusters import snapshot, world

WORLD = world()
ALL = set(WORLD.snapshot.nodes)


def nodes(text, where=WORLD, **options):
    return set(noderange.expand(text, where, **options).nodes)


def costing(**most):
    """The same world for noderanges that may cost no more."""
    return replace(WORLD, effort=noderange.Effort(**most))


def missed(text, where=WORLD):
    return noderange.expand(text, where).missed


names = st.sampled_from(
    ["node1", "node5", "compute", "rack1", "all", "dynx86", "n0[1-3]", "node1-node3", "mgt==ipmi"]
)


@given(names, names)
def test_terms_are_set_algebra(a, b):
    assert nodes(f"{a},{b}") == nodes(a) | nodes(b)
    assert nodes(f"{a}@{b}") == nodes(a) & nodes(b)
    assert nodes(f"{a},-{b}") == nodes(f"-{b},{a}") == nodes(a) - nodes(b)
    assert nodes(f"({a}),-({b})") == nodes(a) - nodes(b)


@given(st.text("node1,-@()[]/^+=~!.*:'\" x2a|\\", max_size=40), st.booleans())
def test_any_text_has_an_answer_or_a_clear_error(text, verify):
    try:
        found = noderange.expand(text, WORLD, verify=verify)
    except noderange.NoderangeError:
        return
    assert list(found.nodes) == sorted(set(found.nodes))
    if verify:
        assert set(found.nodes) <= ALL


def test_unbalanced_parentheses_have_xcats_words():
    with pytest.raises(noderange.UnbalancedParentheses) as caught:
        nodes("a,(node1")
    assert str(caught.value) == "Unbalanced parentheses in noderange"


@pytest.mark.parametrize(
    "text", ["n1-n99999999", "n[1-9999][1-9999]", "n000000009-n000000001", "n1+999999999"]
)
def test_ranges_are_bounded(text):
    with pytest.raises(noderange.TooLarge, match="more than"):
        nodes(text, costing(names=500), verify=False)


def test_nesting_is_bounded():
    with pytest.raises(noderange.TooLarge, match="nested too deeply"):
        nodes("(" * 500 + "node1" + ")" * 500)


def with_long_name(where):
    rows = where.snapshot.to_rows()
    rows["nodelist"].append({"node": "n" * 60, "groups": "all"})
    return noderange.Cluster(Snapshot.from_rows(rows), where.attribute, where.read_file)


COSTLY = "/" + ".*" * 900 + "[XY]"


class TestCost:
    """Work, time and memory are bounded by what they cost."""

    def test_a_costly_expression_is_an_error_and_no_missed_name(self):
        with (
            perlre.budget(0.6),
            pytest.raises(noderange.TooLarge, match=r"took longer than 0\.3 s"),
        ):
            nodes(COSTLY, with_long_name(WORLD))

    def test_a_dynamic_group_that_takes_too_long_is_named(self):
        rows = WORLD.snapshot.to_rows()
        rows["nodelist"].append({"node": "n" * 60})
        where = f"node=~{COSTLY}"
        rows["nodegroup"] = [{"groupname": "dyn", "grouptype": "dynamic", "wherevals": where}]
        world = noderange.Cluster(Snapshot.from_rows(rows), lambda node, name: node)
        with perlre.budget(0.6):
            with pytest.raises(
                noderange.TooLarge, match="row dyn of the table nodegroup, column wherevals: "
            ):
                nodes("dyn", world)
            assert nodes("rack1", world) == {"node1", "node2"}

    def test_excluded_nodes_that_take_too_long_are_named(self):
        where = with_long_name(world(excludenodes=COSTLY))
        with perlre.budget(0.6), pytest.raises(noderange.TooLarge, match=r"site\.excludenodes"):
            nodes("node1", where)

    @pytest.mark.parametrize(
        "text",
        [
            "n" * 39_000 + "[1-10000]",
            "n" * 200 + "[1-199999]",
            "n[1-10000]" + "x" * 30_000,
            "n[1-1000][" + "1," * 19_000 + "1]",
            "a[" + "1," * 15_000 + "1]" + "b" * 200 + "[1-2]",
            "n" + "0" * 240 + "1-n" + "9" * 241,
            "n" + "0" * 240 + "1+199999",
            ",".join(f"{'n' * 200}{letter}[1-9999]" for letter in "abcdefghijkl"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("verify", [True, False])
    def test_bytes_are_counted(self, text, verify):
        tracemalloc.start()
        try:
            with suppress(noderange.TooLarge):
                nodes(text, costing(names=20_000, size=1 << 20), verify=verify)
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()

    def test_too_many_bytes_are_an_error(self):
        with pytest.raises(noderange.TooLarge, match="make names of more than 1024 KB"):
            nodes("n" * 200 + "[1-9999]", costing(size=1 << 20))

    @pytest.mark.parametrize(
        "text",
        [
            "n" * 256,
            "é" * 128,
            "1" * 256,
            "n" * 256 + "1-" + "n" * 256 + "3",
            "n" * 250 + "[1-3]" + "x" * 9,
            "n" * 256 + "+3",
        ],
    )
    @pytest.mark.parametrize("verify", [True, False])
    def test_names_of_more_than_255_bytes_are_missed(self, text, verify):
        found = noderange.expand(text, WORLD, verify=verify)
        assert found.nodes == ()
        assert len(found.missed) == 1

    def test_a_name_of_255_bytes_is_one(self):
        name = "n" * 255
        assert nodes(name, verify=False) == {name}
        assert missed(name) == (name,)

    def test_few_missed_names_are_kept_and_not_all_of_them(self):
        names = [f"x{number}" for number in range(20)]
        assert missed(",".join(names)) == tuple(names)
        assert missed(",".join([*names, "y", "z"])) == (*names, "and 2 more")
        assert missed("x[1-5000]")[-1] == "and 4980 more"
        assert missed("=" + "x" * 10) == ()
        long = missed("z" * 30_000)
        assert long == ("z" * 255 + "...",)

    @pytest.mark.parametrize(
        "text",
        ["all," * 60_000, "all@" * 60_000, "/.*," * 60_000, "mgt==x," * 60_000, "(all)," * 60_000],
    )
    def test_looks_are_counted(self, text):
        with pytest.raises(noderange.TooLarge, match="again and again"):
            nodes(text, costing(looks=20_000))

    @pytest.mark.parametrize("digits", [4_400, 400_000])
    @pytest.mark.parametrize(
        "text", ["n{0}-n{1}", "n{0}+3", "n1+{0}", "n[{0}-{1}]", "{0}-{1}", "{0}"]
    )
    def test_numbers_of_any_length(self, text, digits):
        text = text.format("1" * digits, "1" * (digits - 1) + "2")
        with suppress(noderange.TooLarge):
            assert nodes(text) == set()

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 300_000, "n[" * 150_000, "n[" + "-" * 300_000 + "]", "n[" + ":,-" * 100_000 + "]", "@" * 300_000,
            "node1@" * 60_000, "a@b," * 60_000, ")" * 300_000, "(" * 300_000, "(),"* 100_000, "n+" * 150_000,
            "-" * 300_000, "a-" * 150_000, ":" * 300_000, "(a)" * 100_000, "(" * 50 + "a," * 100_000 + ")" * 50,
            "[" * 100_000 + "]" * 100_000, "n[1]" * 70_000, "^" * 300_000, "^/x," * 70_000, "=~" * 150_000,
            "\\(" * 100_000,
        ],
        ids=lambda text: text[:8],
    )  # fmt: skip
    def test_time_grows_with_the_text(self, text):
        started = time.thread_time()
        with suppress(noderange.NoderangeError):
            nodes(text, world(files={}))
        assert time.thread_time() - started < 10

    def test_too_much_text_in_parentheses(self):
        with pytest.raises(noderange.TooLarge, match="too much to read"):
            nodes("(" * 20 + "a," * 1000 + ")" * 20, costing(text=10_000))


PARTS = st.sampled_from(
    [
        "n",
        "1",
        "001",
        "-",
        ":",
        "+",
        "[",
        "]",
        "(",
        ")",
        ",",
        "@",
        "^/f",
        "/",
        "=~",
        "all",
        "[1-9]",
        "0" * 50,
        "n[1-99]",
        "+99",
        ".*",
    ]
)


@seed(7)
@given(st.lists(PARTS, max_size=30).map("".join), st.integers(1, 300), st.booleans())
def test_any_noderange_many_times_over_is_bounded(text, times, verify):
    started = time.thread_time()
    with suppress(noderange.NoderangeError), perlre.budget(2.0):
        found = noderange.expand(text * times, world(files={"/f": "node1\nx\n"}), verify=verify)
        assert len(found.missed) <= noderange.MOST_MISSED + 1
    assert time.thread_time() - started < 15


def test_an_atom_with_an_intersection_that_cannot_be_split_is_missed():
    assert missed("x,node1@y)") == ("x,node1@y)",)


def test_a_long_list_takes_linear_time():
    count = 5000
    rows = {"nodelist": [{"node": f"cn{i:05}"} for i in range(count)]}
    where = noderange.Cluster(Snapshot.from_rows(rows))
    text = ",".join(f"cn{i:05}" for i in range(count))
    assert len(nodes(text, where)) == count


def test_names_are_sorted_by_their_bytes():
    rows = {"nodelist": [{"node": name} for name in ("é", "z", "Z", "n10", "n2")]}
    where = noderange.Cluster(Snapshot.from_rows(rows))
    assert noderange.expand("z,Z,é,n2,n10", where).nodes == ("Z", "n10", "n2", "z", "é")


def test_prefix_and_suffix_of_plain_numbers():
    rows = {"nodelist": [{"node": "cn1-x"}, {"node": "cn2-x"}, {"node": "cn3-x"}]}
    where = noderange.Cluster(Snapshot.from_rows(rows), prefix="cn", suffix="-x")
    assert nodes("1-2", where) == {"cn1-x", "cn2-x"}
    assert nodes("2+1", where) == {"cn2-x", "cn3-x"}


class TestFiles:
    where = world(files={"/f": "rack1\nnosuch\n", "/e": ""})

    def test_lines_are_counted_and_never_repeated(self):
        assert missed("zzz,^/f", self.where) == ("zzz", "line 2 of /f is no node")
        text = "#\n\nnode1\n/(x\nnode1-node12\n(secret\nnode3@hidden\n/[\nmgt=~[\n"
        where = world(files={"/s": text})
        found = noderange.expand("^/s", where)
        assert found.nodes == ("node1",)
        assert found.missed == tuple(
            f"line {number} of /s is no node" for number in (4, 5, 6, 7, 8, 9)
        )

    def test_names_that_are_taken_as_they_are_do_not_come_from_files(self):
        with pytest.raises(noderange.NoSuchNodes) as caught:
            nodes("new,^/f", self.where, verify=False)
        assert str(caught.value) == "line 2 of /f is no node"
        assert nodes("new,^/e", self.where, verify=False) == {"new"}

    def test_a_costly_line_is_not_repeated_either(self):
        where = world(files={"/f": "node1\n/" + ".*" * 900 + "[XY]\n"})
        with perlre.budget(0.6), pytest.raises(noderange.TooLarge) as caught:
            nodes("^/f", with_long_name(where))
        assert str(caught.value) == "line 2 of /f: its expression takes too long"

    def test_without_the_right_only_excluded_nodes_come_from_files(self):
        asked = []
        site = {"site": [{"key": "excludenodes", "value": "^/out"}]}
        rows = {"nodelist": [{"node": "n1"}, {"node": "n2"}], **site}

        def read(path):
            asked.append(path)
            return "n2"

        where = noderange.Cluster(Snapshot.from_rows(rows), read_file=read, with_files=False)
        noderange.tables_needed("^/mine,n1,n2", where.snapshot, where)
        assert nodes("n1,n2", where) == {"n1"}
        with pytest.raises(noderange.NotAllowed, match="cannot read /mine"):
            nodes("^/mine,n1,n2", where)
        assert set(asked) == {"/out"}

    def test_excluding_a_file_subtracts_its_nodes(self):
        assert nodes("compute,-^/f", self.where) == {"node3", "node4"}
        assert nodes("-^/f,compute", self.where) == {"node3", "node4"}

    def test_intersecting_with_a_file(self):
        assert nodes("all,@^/f", self.where) == {"node1", "node2"}

    def test_an_empty_or_unreadable_file_adds_nothing(self):
        assert nodes("node5,^/e,^/unreadable", self.where) == {"node5"}

    def test_without_a_reader_there_are_no_files(self):
        assert nodes("^/f", noderange.Cluster(snapshot())) == set()


class TestExcludedNodes:
    def test_missed_names_are_still_reported(self):
        assert missed("nosuch,node1", world(excludenodes="sn1")) == ("nosuch",)

    def test_unknown_excluded_names_are_nobodys_fault(self):
        assert missed("node1", world(excludenodes="gone")) == ()

    def test_it_may_itself_be_an_expression(self):
        where = world(excludenodes="(rack1),all@storage")
        assert nodes("compute,node5", where) == {"node3", "node4"}

    def test_unknown_names_without_verification_are_excluded_too(self):
        assert nodes("node1,x1", world(excludenodes="node1"), verify=False) == {"x1"}


class TestDynamicGroups:
    def test_without_attributes_they_have_no_members_but_exist(self):
        where = noderange.Cluster(snapshot())
        assert noderange.expand("dynx86", where) == noderange.Expansion((), ())

    @pytest.mark.parametrize(
        ("wherevals", "expected"),
        [
            ("mgt==hmc", {"node4"}),
            ("mgt=hmc", {"node4"}),
            ("mgt!=ipmi", {"node4", "node5", "node10"}),
            ("mgt=~/^[ih]/", {"node1", "node2", "node3", "node4"}),
            ("mgt!~^[ib]", {"node4"}),
            ("mgt==ipmi::node=~[12]$", {"node1", "node2"}),
            ("nosuch!=x", set()),
        ],
    )
    def test_conditions(self, wherevals, expected):
        rows = snapshot().to_rows()
        rows["nodegroup"].append(
            {"groupname": "dyn", "grouptype": "dynamic", "wherevals": wherevals}
        )
        database = Snapshot.from_rows(rows)
        known = {"mgt": ("nodehm", "mgt")}
        where = noderange.Cluster(
            database, lambda node, name: known.get(name) and database.value(node, *known[name])
        )
        assert nodes("dyn", where) == expected

    def test_a_wrong_condition_ends_the_list(self):
        assert selection.group_conditions("nothing::mgt==x") == []

    def test_the_attributes_they_ask_for_are_known_beforehand(self):
        assert noderange.dynamic_attributes(snapshot()) == {"arch"}


class TestTablesNeeded:
    BASE = frozenset({"nodelist", "nodegroup", "site"})

    @pytest.mark.parametrize(
        ("text", "more"),
        [
            ("node1,compute", set()),
            ("node1@noderes.xcatmaster==sn1", {"noderes"}),
            ("mgt=~x,nodetype.os!=y", {"nodehm", "nodetype"}),
            ("nosuch.col==x", set()),
        ],
    )
    def test_tables_of_selections(self, text, more):
        assert noderange.tables_needed(text) == self.BASE | more

    def test_excluded_nodes_and_files_are_looked_at_in_a_second_step(self):
        where = world(files={"/f": "nodetype.os==AIX"}, excludenodes="ppc.hcp==h")
        needed = noderange.tables_needed("-(^/f),node1", where.snapshot, where)
        assert needed == self.BASE | {"ppc", "nodetype"}

    def test_a_table_that_was_not_read_is_an_error_and_no_empty_answer(self):
        partly = Snapshot({"nodelist": snapshot()._sheet("nodelist")})
        with pytest.raises(LookupError, match="nodehm was not read"):
            selection.select("nodehm.mgt==x", partly)


def test_every_row_of_a_node_is_compared():
    rows = {
        "nodelist": [{"node": "n1"}],
        "switch": [
            {"node": "n1", "switch": "sw1", "port": "1"},
            {"node": "n1", "switch": "sw2", "port": "2"},
        ],
    }
    where = noderange.Cluster(Snapshot.from_rows(rows))
    assert nodes("switch.switch==sw2", where) == {"n1"}
    assert nodes("switch.switch!=sw2", where) == {"n1"}
    assert nodes("switch.switch==sw3", where) == set()


def test_a_wrong_pattern_is_missed():
    assert missed("/node[") == ("/node[",)
    assert missed("nodehm.mgt=~*") == ("nodehm.mgt=~*",)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("[[:alpha:]]+$", "abc", True),
        ("[[:alpha:]]+$", "1", False),
        ("[a[]", "[", True),
        (r"node\z", "node", True),
        (r"a$", "a\n", True),
        (r"(?<x>a)b", "ab", True),
        (r"\d", "٣", False),
        ("[]x]", "]", True),
        ("[^]]", "]", False),
        ("^*01$", "cn01", True),
        ("^+01$", "cn01", False),
    ],
)
def test_perl_patterns(pattern, text, matches):
    assert (perlre.compile_pattern(pattern).search(text) is not None) == matches


@given(st.text("a,@()[]", max_size=30))
def test_separated_pieces_put_together_are_the_text(text):
    assert "".join(brackets.separated(text, ",", ("[]", "()"))) == text


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 4))
def test_counting_keeps_the_width_and_order(first, last, width):
    left, right = str(first).zfill(width), str(last).zfill(width)
    counted = [int(number) for number in ranges.counted(left, right)]
    if first <= last:
        assert counted == list(range(first, last + 1))
    assert counted == sorted(counted)


def test_a_long_word_is_looked_through_once():
    started = time.thread_time()
    assert list(selection.tables_in("x" * 200_000 + "=" + "y" * 200_000)) == []
    assert set(selection.tables_in("n1@nodehm.mgt==x,site.key=y")) >= {"nodehm", "site"}
    assert time.thread_time() - started < 5
