"""Which arguments go where, command by command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.client.commands import (
    ClientProgram,
    build,
    kind_of,
    object_operand,
    shows_server,
    split_noderange,
)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("nodels", ClientProgram.NODERANGE),
        ("rpower", ClientProgram.NODERANGE),
        ("makeconservercf", ClientProgram.NODERANGE),
        ("lsdef", ClientProgram.OBJECTS),
        ("mkdsklsnode", ClientProgram.OBJECTS),
        ("snmove", ClientProgram.PLAIN),
        ("tabdump", ClientProgram.PLAIN),
        ("lsxcatd", ClientProgram.PLAIN),
        ("brandnew", ClientProgram.PLAIN),
    ],
)
def test_commands_belong_to_the_known_client_programs(command: str, kind: ClientProgram) -> None:
    assert kind_of(command) is kind


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ([], "", [])),
        (["n1"], ([], "n1", [])),
        (["-a", "n1", "-b", "c"], (["-a"], "n1", ["-b", "c"])),
        (["-m", "x==y", "n1"], (["-m"], "x==y", ["n1"])),
        (["-h"], (["-h"], "", [])),
        (["n1,n2,,"], ([], "n1,n2", [])),
        ([",n1"], ([], ",n1", [])),
        (["", "x"], ([], "", ["x"])),
    ],
)
def test_the_first_argument_without_dash_is_the_noderange(
    args: list[str], expected: tuple[list[str], str, list[str]]
) -> None:
    assert split_noderange("nodels", args) == expected


def test_lslite_with_an_image_sends_no_noderange() -> None:
    assert split_noderange("lslite", ["-i", "image"]) == ([], None, ["-i", "image"])
    assert split_noderange("lslite", ["n1"]) == ([], "n1", [])


@pytest.mark.parametrize(
    ("args", "operand"),
    [
        (["-i", "image", "n1"], "n1"),
        (["-iimage", "n1"], "n1"),
        (["-vi", "image", "n1"], "n1"),
        (["-f", "n1", "a=b"], "n1"),
        (["a=b", "n1"], "n1"),
        (["--force", "n1"], "n1"),
        (["--", "-x", "n1"], "n1"),
        (["-i"], None),
        ([], None),
    ],
)
def test_some_object_commands_send_their_operand(args: list[str], operand: str | None) -> None:
    assert object_operand(args) == operand


@given(st.lists(st.text("-=isvn1", max_size=4), max_size=6))
def test_looking_for_the_operand_always_ends(args: list[str]) -> None:
    operand = object_operand(args)
    assert operand is None or operand in args


def test_environment_and_working_directory_are_sent() -> None:
    environ = {"XCAT_A": "1", "XCATHOST": "h:1", "HOME": "/x", "XCAT_": "2"}
    tree = build("tabdump", ["site"], cwd="/tmp", stdin=[], environ=environ)
    assert tree == {
        "command": ["tabdump"],
        "clienttype": ["cli"],
        "cwd": ["/tmp"],
        "arg": ["site"],
        "environment": [{"XCAT_A": ["1"], "XCAT_": ["2"]}],
    }
    assert "environment" not in build("lsdef", [], cwd="/", stdin=[], environ=environ)


def test_the_servers_name_is_asked_for_after_the_noderange_only() -> None:
    assert shows_server("nodels", ["n1", "-V"])
    assert not shows_server("nodels", ["-V", "n1"])
    assert shows_server("tabdump", ["--verbose"])
    assert not shows_server("lsdef", ["-V"])
