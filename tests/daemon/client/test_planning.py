"""Plans on the user's side: files, ids and the question, with a real daemon and a plugin that plans."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.serving.conftest import PATIENT, Authority, _fill, _prepare

from xcatd.api import Context, Reply, Request, SavedPlan, data, error
from xcatd.client import commands, planning
from xcatd.main import Daemon, Machine
from xcatd.plugins import PluginHost
from xcatd.upstream.replies import reply_of
from xcatd.wire import replies, savedplan
from xcatd.wire.stream import ResponseReader

CLIENT = [sys.executable, "-m", "xcatd.client.main"]
DIGEST = hashlib.sha256(b"plan").hexdigest()
LINES = ("1 move n1", "  - one step", "", "2 move n2 \x1b[2J")


@dataclass
class Planner:
    """Keeps every plan as ``toy-7``, of as many nodes as it is told."""

    commands = ("toy", "nodeset", "mkdsklsnode")
    did: list[tuple[str, ...]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def handle(self, request: Request, context: Context) -> Iterator[Reply]:
        self.requests.append(request)
        words = request.words
        nodes = next((int(word[2:]) for word in words if word.startswith("n=")), 60)
        limit = request.asks_above
        plan = SavedPlan("toy-7", DIGEST, nodes, LINES)
        if "refuse" in words:
            yield error("cannot plan this")
        elif any(word.startswith("--out") for word in words):
            yield data(*LINES, "Saved as toy-7.")
            yield Reply(saved=plan)
        elif any(word.startswith("--apply") for word in words):
            self.did.append(words)
            yield data("done")
            yield Reply(errorcode=3)
        elif "--yes" not in words and limit is not None and nodes > limit:
            yield Reply(saved=plan._replace(needs_confirmation=True, keeps=("--fanout=8",)))
        else:
            self.did.append(words)
            yield data("done at once")
            yield Reply(errorcode=2)


@dataclass
class Place:
    """A daemon, and a directory to call its client in."""

    planner: Planner
    port: int
    certificates: Path
    directory: Path

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "XCATHOST": f"127.0.0.1:{self.port}",
            "XCATCLIENTCERTS": str(self.certificates),
            **more,
        }

    def run(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        return subprocess.run(
            [*CLIENT, *args],
            env=self.environ(more),
            cwd=self.directory,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=30,
            text=True,
        )

    def at_terminal(
        self,
        *args: str,
        answer: str | bytes | None = None,
        stdin: IO[bytes] | None = None,
        stderr: int | None = None,
        **more: str,
    ) -> tuple[int, str]:
        """At a terminal; ``answer`` is typed once the question is there, ``^C`` interrupts.  Status and screen."""
        outer, inner = pty.openpty()
        process = subprocess.Popen(
            [*CLIENT, *args],
            env=self.environ(more),
            cwd=self.directory,
            stdin=stdin or inner,
            stdout=inner,
            stderr=inner if stderr is None else stderr,
            start_new_session=True,
        )
        os.close(inner)
        screen = b""
        with process:
            while data := _read(outer):
                screen += data
                if answer is not None and b"[y/N]" in screen:
                    if answer == "^C":
                        process.send_signal(signal.SIGINT)
                    else:
                        os.write(outer, answer.encode() if isinstance(answer, str) else answer)
                    answer = None
            status = process.wait(20)
        os.close(outer)
        return status, screen.decode("utf-8", "replace").replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # everybody has left
        return b""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Place]:
    filled = tmp_path_factory.mktemp("filled")
    _fill(filled)
    directory = _prepare(tmp_path_factory.mktemp("planning") / "top", authority, filled)
    planner = Planner()
    machine = Machine("mn", {"XCATCFG": f"SQLite:{directory / 'db'}"}, directory / "mn")
    daemon = Daemon(machine, plugins=PluginHost({"planner": planner}))
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = daemon.server([sock], PATIENT, 64)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    certificates = authority.client_directory(directory / "root", "root")
    yield Place(planner, sock.getsockname()[1], certificates, directory)
    server.stop()
    thread.join(20)
    daemon.close()


@pytest.fixture
def place(daemon: Place, tmp_path: Path) -> Place:
    daemon.planner.did.clear()
    daemon.planner.requests.clear()
    return Place(daemon.planner, daemon.port, daemon.certificates, tmp_path)


# -- the question ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " yes \n"])
def test_a_confirmed_plan_is_applied(place: Place, answer: str) -> None:
    status, screen = place.at_terminal("toy", "-s", "sn1", answer=answer)
    assert place.planner.did == [
        ("--fanout=8", "--apply=toy-7", f"--digest={DIGEST}", "--yes"),
    ]
    assert status == 3
    assert "1 move n1\n  - one step\n\n2 move n2 ?[2J\n" in screen
    assert "Apply this plan to 60 nodes? [y/N] " in screen
    assert screen.endswith("done\n")
    assert [request.asks_above for request in place.planner.requests] == [50, None]


def test_the_question_stands_where_the_plan_does(place: Place) -> None:
    status, screen = place.at_terminal("toy", answer="y\n", stderr=subprocess.DEVNULL)
    assert status == 3
    assert "[y/N]" in screen


@pytest.mark.parametrize("answer", ["n\n", "\n", "x\n", "\x04", "yesno\n", b"\xff\xfe\n"])
def test_anything_but_yes_changes_nothing(place: Place, answer: str | bytes) -> None:
    status, screen = place.at_terminal("toy", answer=answer)
    assert status == 1
    assert screen.endswith("Nothing was changed.\n")
    assert place.planner.did == []


def test_an_interrupt_at_the_question_changes_nothing(place: Place) -> None:
    status, screen = place.at_terminal("toy", answer="^C")
    assert status == 130
    assert screen.endswith("\nNothing was changed.\n")
    assert "Traceback" not in screen
    assert place.planner.did == []


@pytest.mark.parametrize(
    ("args", "environ", "asks"),
    [
        (("n=50",), {}, False),
        (("n=51",), {}, True),
        (("n=1",), {"XCAT_CONFIRM_NODES": "0"}, True),
        (("n=1",), {"XCAT_CONFIRM_NODES": "1"}, False),
        (("n=99",), {"XCAT_CONFIRM_NODES": "100"}, False),
        (("n=99", "--yes"), {}, False),
        (("n=99", "--yes"), {"XCAT_CONFIRM_NODES": "many"}, False),
    ],
)
def test_one_is_asked_above_a_number_of_nodes(
    place: Place, args: tuple[str, ...], environ: dict[str, str], asks: bool
) -> None:
    status, screen = place.at_terminal("toy", *args, answer="n\n", **environ)
    assert ("[y/N]" in screen) is asks
    assert status == (1 if asks else 2)
    assert bool(place.planner.did) is not asks


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "٣"])
def test_a_limit_that_is_no_number_asks_always(place: Place, text: str) -> None:
    status, screen = place.at_terminal("toy", "n=1", answer="n\n", XCAT_CONFIRM_NODES=text)
    assert status == 1 and "Apply this plan to 1 node?" in screen
    assert [request.asks_above for request in place.planner.requests] == [0]


def test_nothing_asks_without_a_terminal(place: Place) -> None:
    done = place.run("toy", XCAT_CONFIRM_NODES="many", XCAT_ASKS_ABOVE="0")
    assert (done.returncode, done.stdout) == (2, "done at once\n")
    assert place.planner.requests[0].asks_above is None


def test_nothing_asks_where_the_answer_is_no_terminals(place: Place) -> None:
    with open("/dev/zero", "rb") as zero:
        status, screen = place.at_terminal("toy", stdin=zero)
    assert (status, screen) == (2, "done at once\n")


def test_nothing_is_asked_of_a_refused_command(place: Place) -> None:
    status, screen = place.at_terminal("toy", "refuse")
    assert status == 1
    assert "cannot plan this" in screen
    assert "[y/N]" not in screen


def test_commands_whose_variables_are_not_sent_can_ask_too(place: Place) -> None:
    status, _ = place.at_terminal("mkdsklsnode", answer="y\n", XCAT_OTHER="1")
    assert status == 3
    environments = [dict(request.environment) for request in place.planner.requests]
    assert environments == [{"XCAT_ASKS_ABOVE": "50"}, {}]


# -- files -----------------------------------------------------------------------------------------


def test_a_plan_is_kept_in_a_file_and_applied_from_it(place: Place) -> None:
    saved = place.run("toy", "--out", "move.plan", "-s", "sn1")
    assert saved.returncode == 0
    assert saved.stdout.endswith("Saved as toy-7.\nWrote move.plan.\n")
    assert place.planner.requests[0].words == ("--out", "move.plan", "-s", "sn1")
    file = place.directory / "move.plan"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().splitlines()[1:] == [
        *("plan: toy-7", f"sha256: {DIGEST}", "nodes: 60", ""),
        *("1 move n1", "  - one step", "", "2 move n2 ?[2J"),
    ]
    applied = place.run("toy", "--apply", "move.plan", "-V")
    assert applied.returncode == 3
    assert place.planner.did == [("--apply=toy-7", f"--digest={DIGEST}", "-V")]


def test_behind_json_nothing_else_comes(place: Place) -> None:
    saved = place.run("toy", "--out", "move.plan", "--json")
    assert (saved.returncode, saved.stderr) == (0, "Wrote move.plan.\n")
    assert saved.stdout.endswith("Saved as toy-7.\n")
    assert (place.directory / "move.plan").exists()


@pytest.mark.parametrize(
    ("command", "args", "sent"),
    [
        ("toy", ("--apply", "toy-7"), ("--apply", "toy-7")),
        ("toy", ("--apply=toy-7",), ("--apply=toy-7",)),
        ("toy", ("--apply",), ("--apply",)),
        ("toy", ("--apply", "notes"), ("--apply", "notes")),
        ("toy", ("--apply", "."), ("--apply", ".")),
        ("toy", ("--", "--apply", "plan"), ("--", "--apply", "plan")),
        ("toy", ("--apply=plan",), ("--apply=old-1", f"--digest={DIGEST}")),
        ("nodeset", ("--apply", "toy-7"), ("--apply=toy-7",)),
        ("nodeset", ("--apply", "plan"), ("--apply=old-1", f"--digest={DIGEST}")),
    ],
)
def test_a_name_that_is_no_plans_file_goes_as_it_was_typed(
    place: Place, command: str, args: tuple[str, ...], sent: tuple[str, ...]
) -> None:
    (place.directory / "notes").write_text("plan: x\n")
    planning.write(str(place.directory / "plan"), SavedPlan("old-1", DIGEST), "toy")
    place.run(command, *args)
    assert place.planner.requests[0].words == sent
    assert place.planner.requests[0].noderange in {None, ""}


def test_an_options_value_is_no_noderange(place: Place) -> None:
    done = place.run("nodeset", "--out", "x.plan", "n1", "osimage")
    assert done.returncode == 0
    request = place.planner.requests[0]
    assert (request.noderange, request.words) == ("n1", ("--out=x.plan", "osimage"))
    assert (place.directory / "x.plan").exists()


def test_a_newer_plan_may_replace_an_older_one(place: Place) -> None:
    planning.write(str(place.directory / "x"), SavedPlan("old-1", DIGEST), "toy")
    assert place.run("toy", "--out=x").returncode == 0
    assert "plan: toy-7" in (place.directory / "x").read_text()


def _text(path: Path) -> None:
    path.write_text("my notes\n")


def _link(path: Path) -> None:
    planning.write(str(path.parent / "target"), SavedPlan("old-1", DIGEST), "toy")
    path.symlink_to("target")


@pytest.mark.parametrize("make", [_text, Path.mkdir, os.mkfifo, _link])
def test_nothing_else_is_overwritten(place: Place, make) -> None:
    path = place.directory / "x"
    make(path)
    before = path.lstat()
    done = place.run("toy", "--out", "x")
    assert done.returncode == 1
    assert "cannot write x: " in done.stderr
    assert "the plan is kept as toy-7; to carry it out: toy --apply toy-7" in done.stderr
    assert path.lstat().st_ino == before.st_ino


def test_a_command_that_does_not_plan_has_an_out_of_its_own(place: Place) -> None:
    (place.directory / "plain").write_text("my notes\n")
    done = place.run("other", "tar", "--out", "plain")
    assert "Unsupported request" in done.stderr + done.stdout and "plain" not in done.stderr
    assert (place.directory / "plain").read_text() == "my notes\n"


ESCAPES = "\x1b]0;owned\x07"


def test_what_a_daemon_says_commands_no_terminal_from_a_file(tmp_path: Path) -> None:
    plan = SavedPlan("p-1", DIGEST, 1, (f"one {ESCAPES}", "two\r\nplan: other", "\ud800"))
    planning.write(str(tmp_path / "x"), plan, "toy")
    assert (tmp_path / "x").read_text().splitlines()[5:] == [
        r"one \x1b]0;owned\x07",
        r"two\r\nplan: other",
        r"\ud800",
    ]


@pytest.mark.parametrize("name", ["a\0b", "\ud800", f"no/{ESCAPES}"])
def test_a_name_that_no_file_has_is_told_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(planning.PlanFileError, match="the plan is kept as p-1") as told:
        planning.write(f"{tmp_path}/{name}", SavedPlan("p-1", DIGEST), "toy")
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    "plan",
    [
        SavedPlan(f"p{ESCAPES}", DIGEST),
        SavedPlan("p-1\nsha256: x", DIGEST),
        SavedPlan("-p", DIGEST),
        SavedPlan("p-1", "0"),
        SavedPlan("p-1", DIGEST + "\n"),
        SavedPlan("p-1", DIGEST, keeps=("\ud800",)),
        SavedPlan("p-1", DIGEST, keeps=("--keep" + ESCAPES,)),
    ],
)
def test_names_that_no_daemon_gives_are_no_plans(plan: SavedPlan) -> None:
    assert not planning.is_named(plan)
    assert planning.is_named(SavedPlan("p-1", DIGEST, keeps=("--fanout=8", "-V")))


def test_a_file_that_cannot_be_written_leaves_the_plans_name(place: Place) -> None:
    done = place.run("toy", "--out", "no/such/place")
    assert done.returncode == 1
    assert "cannot write no/such/place: No such file or directory" in done.stderr
    assert "the plan is kept as toy-7" in done.stderr


@pytest.mark.parametrize("line", [1, 2])
def test_a_plans_file_with_other_names_is_refused(place: Place, line: int) -> None:
    file = place.directory / "x"
    planning.write(str(file), SavedPlan("old-1", DIGEST), "toy")
    lines = file.read_text().splitlines()
    lines[line] = re.sub(r": .*", ": $(id) x", lines[line])
    file.write_text("\n".join(lines))
    done = place.run("toy", "--apply", "x")
    assert done.returncode == 1
    assert "cannot apply x: the lines that name its plan were altered" in done.stderr
    assert place.planner.requests == []


# -- pure ------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
_PLANS = st.builds(
    SavedPlan,
    id=_TEXT.filter(str.strip),
    sha256=_TEXT.filter(str.strip),
    nodes=st.integers(0, 10**6),
    text=st.lists(st.just("") | _TEXT.filter(str.strip), max_size=5).map(tuple),
    needs_confirmation=st.booleans(),
    keeps=st.lists(_TEXT.filter(str.strip), max_size=3).map(tuple),
)


@given(_PLANS, st.booleans())
def test_a_plan_comes_over_the_wire_and_through_another_daemon(
    plan: SavedPlan, passes: bool
) -> None:
    reply = Reply(saved=plan, info=("x",))
    (tree,) = ResponseReader().feed(replies.encode(reply))
    if passes:
        (tree,) = ResponseReader().feed(replies.encode(reply_of(tree)))
    assert savedplan.of_reply(tree) == plan


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "text",
        "<plan>x</plan>",
        "<sha256>y</sha256>",
        "<plan><a>b</a></plan><sha256>y</sha256>",
        "<plan>x</plan><sha256> </sha256>",
    ],
)
def test_half_a_plan_is_none(inside: str) -> None:
    document = f"<xcatresponse><savedplan>{inside}</savedplan></xcatresponse>\n"
    (tree,) = ResponseReader().feed(document.encode())
    assert savedplan.of_reply(tree) is None


@given(
    st.lists(st.sampled_from(["--out", "--apply", "--yes", "--", "n1", "-x", "a=b"]), max_size=6)
)
def test_words_stay_what_they_are(words: list[str]) -> None:
    """Whatever a command line says, it is sent as it was typed where no file is concerned."""
    line = planning.read("toy", words, {}, can_ask=False)
    assert list(line.args) == words
    ranged = planning.read("nodels", words, {}, can_ask=False)
    sent = [part for word in ranged.args for part in _parts(word)]
    assert sent == words
    assert commands.build("nodels", ranged.args, cwd="/", stdin=(), environ={})


def _parts(word: str) -> list[str]:
    name, has_value, value = word.partition("=")
    return [name, value] if has_value and name in {"--out", "--apply"} else [word]


@pytest.mark.parametrize(
    ("text", "limit"), [(None, None), ("0", 0), ("50", 50), ("", 0), ("x", 0), ("9" * 40, 0)]
)
def test_what_a_client_asks_above(text: str | None, limit: int | None) -> None:
    environment = {} if text is None else {savedplan.ASKS_ABOVE: text}
    assert Request("toy", environment=environment).asks_above == limit
