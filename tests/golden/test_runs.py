"""The harness over runs of its own: what is the same is ok, and every kind of difference is seen."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xcatd.plugins import PluginHost

from . import __main__ as program
from . import lines, rules, runs

NIM = Path(__file__).parent / "nim"
MOVES, MASTERS = runs.load(NIM / "snmove.json"), runs.load(NIM / "masters.json")
DISKFUL = MOVES[0]

BY_ID = {run["id"]: run for run in [*MOVES, *MASTERS]}

Change = Callable[[dict[str, Any]], object]


@functools.cache
def plugins() -> PluginHost:
    return PluginHost.load()


@functools.cache
def played(name: str) -> runs.Played:
    """What ours does, once for all that is compared with it."""
    return runs.play(BY_ID[name], plugins())


@functools.cache
def staged(name: str) -> runs.Verdict:
    return runs.judge_stage(BY_ID[name])


def verdict_on(run: dict[str, Any]) -> runs.Verdict:
    return runs.verdict_on(run, lines.of_recording(run), played(run["id"]))


def _id(run: dict[str, Any]) -> str:
    return str(run["id"])


@pytest.mark.parametrize("run", MOVES, ids=_id)
def test_a_move_does_as_its_run_says(run: dict[str, Any]) -> None:
    verdict = verdict_on(run)
    assert verdict.differences == ()
    assert verdict.is_ok and verdict.text(3) == f"{run['id']}: ok"


@pytest.mark.parametrize("run", MASTERS, ids=_id)
def test_recorded_nim_commands_do_the_same_on_the_stage(run: dict[str, Any]) -> None:
    assert staged(run["id"]).differences == ()


def test_a_command_of_no_plugin_is_not_offered() -> None:
    verdict = runs.judge(MASTERS[0], PluginHost({}))
    assert not verdict.is_ok
    assert verdict.text(3) == "initialise: not offered: no plugin offers mkdsklsnode"


# Differences are seen


def _drop_command(run: dict[str, Any]) -> None:
    run["other_commands"] = [one for one in run["other_commands"] if one.get("cmd") != "bootlist"]


def _swap_commands(run: dict[str, Any]) -> None:
    commands = run["other_commands"]
    first, second = (n for n, one in enumerate(commands) if "cmd" in one)
    commands[first], commands[second] = commands[second], commands[first]


def _other_argument(run: dict[str, Any]) -> None:
    command = next(one for one in run["other_commands"] if one.get("cmd") == "bootlist")
    command["argv"][-1] = "client=192.168.10.99"


def _more_on_nim(run: dict[str, Any]) -> None:
    run["nim_commands"] = [{"host": "sb", "argv": ["/usr/sbin/nim", "-o", "reset", "w1"], "rc": 0}]


def _other_state(run: dict[str, Any]) -> None:
    change = {"before": {"Mstate": None}, "after": {"Mstate": "not running"}}
    run["nim_state_diff"] = {"sb": {"added": {}, "removed": [], "changed": {"w1": change}}}


def _other_cell(run: dict[str, Any]) -> None:
    run["db_diff"]["noderes"]["added"][0]["nfsserver"] = "sb"


def _other_table(run: dict[str, Any]) -> None:
    run["db_diff"]["nodehm"] = {"removed": [], "added": [{"node": "w1", "mgt": "hmc"}]}


def _other_file(run: dict[str, Any]) -> None:
    run["files_written"]["sb"] = ["/etc/exports"]


def _other_text(run: dict[str, Any]) -> None:
    echo = next(one for one in run["other_commands"] if "echo" in str(one.get("arg")))
    echo["arg"] = ['echo "XCATSERVER=192.168.10.11" > /etc/xcatinfo']


def _other_words(run: dict[str, Any]) -> None:
    run["stdout"] += "Something else.\n"


def _other_status(run: dict[str, Any]) -> None:
    run["rc"] = 4


SEEN: list[tuple[Change, tuple[str, ...]]] = [
    (_drop_command, ("w1: only ours: run bootlist -m normal ent0",)),
    (_swap_commands, ("other order: recorded ",)),
    (_other_argument, ("client=192.168.10.99", "client=192.168.10.21")),
    (_more_on_nim, ("sb: only recorded: nim nim -o reset w1",)),
    (_other_state, ("sb: only recorded: state w1 Mstate = not running",)),
    (_other_cell, ("only recorded: db noderes w1 nfsserver: -> sb",)),
    (_other_table, ("only recorded: db nodehm w1 mgt: -> hmc",)),
    (_other_file, ("sb: only recorded: file /etc/exports",)),
    (_other_text, ("XCATSERVER=192.168.10.11", "XCATSERVER=192.168.10.12")),
    (_other_words, ("only recorded: out Something else.",)),
    (_other_status, ("only recorded: rc 4", "only ours: rc 0")),
]


@pytest.mark.parametrize(
    ("change", "words"), SEEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_difference_is_seen(change: Change, words: tuple[str, ...]) -> None:
    run = copy.deepcopy(DISKFUL)
    change(run)
    verdict = verdict_on(run)
    told = "\n".join(verdict.differences)
    assert not verdict.is_ok
    for text in words:
        assert text in told


def test_the_order_of_a_arguments_means_nothing() -> None:
    run = copy.deepcopy(DISKFUL)
    command = next(one for one in run["other_commands"] if one.get("cmd") == "niminit")
    command["argv"] = ["-a", "master=sb", "-a", "name=w1"]
    assert verdict_on(run).is_ok


def test_a_master_that_does_not_know_the_client_fails_ours() -> None:
    """The stage makes the client known where the recording has a niminit, and only there."""
    run = copy.deepcopy(DISKFUL)
    run["other_commands"] = [one for one in run["other_commands"] if one.get("cmd") != "niminit"]
    told = "\n".join(runs.judge(run, plugins()).differences)
    assert "there is no NIM object" in told and "w1: only recorded: run bootlist" in told


def test_equal_differences_of_several_hosts_are_one() -> None:
    run = MOVES[2]
    same = [line for line in runs.expected(run) if not line.startswith("file ")]
    more = [*same, "file w1 /a", "file w2 /a", "file w3 /b"]
    topology = runs.plan_of(run).topology()
    assert list(runs.compare(same, more, topology)) == [
        "w1,w2: only ours: file /a",
        "w3: only ours: file /b",
    ]


# The rules


def test_every_rule_is_needed_by_some_run() -> None:
    used: set[str] = set()
    for run in MOVES:
        used |= verdict_on(run).used
    for run in MASTERS:
        runs.expected(run, used)
        used |= staged(run["id"]).used
    assert [rule.name for rule in rules.RULES if rule.name not in used] == []


def test_every_rule_has_its_own_name_and_a_reason() -> None:
    assert len({rule.name for rule in rules.RULES}) == len(rules.RULES)
    assert [rule.name for rule in rules.RULES if len(rule.reason.split()) < 4] == []


# The program


def _write(path: Path, *found: dict[str, Any]) -> str:
    path.write_text(json.dumps(found))
    return str(path)


def test_the_program_says_a_line_for_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(NIM / "snmove.json"), "diskful", "contradiction"]) == 0
    assert capsys.readouterr().out.splitlines() == ["diskful: ok", "contradiction: ok", "2 ok"]


def test_what_differs_or_is_not_offered_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = copy.deepcopy(DISKFUL)
    _other_status(wrong)
    unknown = {**DISKFUL, "id": "unknown", "argv": ["nosuchcommand", "w1"]}
    file = _write(tmp_path / "runs.json", wrong, unknown)
    assert program.main([file]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == "diskful: differs: only recorded: rc 4; only ours: rc 0"
    assert second == "unknown: not offered: no plugin offers nosuchcommand"
    assert last == "1 differ, 1 not offered"
    assert program.main([file, "-k", "nosuch", "--offered"]) == 1
    assert capsys.readouterr().out == "no run chosen\n"


def test_runs_are_chosen_by_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(NIM / "masters.json"), "--stage", "-k", "rmnimimage"]) == 0
    assert capsys.readouterr().out.splitlines() == ["remove: ok", "1 ok"]


def test_an_unknown_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(NIM / "snmove.json"), "nosuch"]) == 2
    assert "has no run nosuch" in capsys.readouterr().err


def test_what_is_expected_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(NIM / "masters.json"), "--recorded", "initialise"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("initialise:\n    nim sb nim -Fo check thin\n")
    assert "xdcp" not in told


def test_every_suite_that_is_written_anew_has_a_way_to_do_it() -> None:
    from importlib import import_module

    modules = [name for names in program.SUITES.values() for name in names]
    assert all(callable(import_module(name).rewrite) for name in modules)
