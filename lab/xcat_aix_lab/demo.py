"""``xcat-aix-lab demo``: the loss of a service node, told with the real programs.

Every claim is checked: against what the nodes themselves say, not what the database says of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xcat_aix_lab import agents, records
from xcat_aix_lab.cluster import DISKLESS, STANDALONE
from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab
from xcat_aix_lab.launcher import NotReady, run_lines

_DEAD, _BACKUP = "sn1", "sn2"
_COMMAND_SECONDS = 60.0


class _Wrong(Exception):
    """Something is not as it should be; the message says what."""


def run_demo(path: Path | None, *, keep: bool) -> int:
    """Tell the story; 0 if everything was as it should be.  The lab is taken away at the end."""
    started = time.monotonic()
    place = path or Path(tempfile.mkdtemp(prefix="xcat-aix-demo-")) / "lab"
    if path is not None and path.exists():
        sys.stderr.write(f"xcat-aix-lab: {path} is there already: the demo begins from nothing\n")
        return 1
    demo = _Demo(Lab(place), started)
    try:
        demo.tell()
    except (_Wrong, NotReady) as error:
        demo.say(f"\nNOT AS IT SHOULD BE: {error}\n")
        return 1
    finally:
        demo.lab.down()
        if keep:
            demo.say(f"the lab stays in {place}: xcat-aix-lab up --dir {place}\n")
        else:
            demo.lab.remove()
            if path is None:
                place.parent.rmdir()
    demo.say(f"\nEverything was as it should be, in {time.monotonic() - started:.0f} seconds.\n")
    return 0


@dataclass(frozen=True, slots=True)
class _Truth:
    """What is so, read from the nodes; and what the database says."""

    masters: Mapping[str, str]
    routes: Mapping[str, str]
    served: Mapping[str, records.Served]

    def of(self, node: str) -> tuple[object, ...]:
        """All that is known of one node."""
        return self.masters.get(node), self.routes[node], self.served[node]


class _Demo:
    def __init__(self, lab: Lab, started: float) -> None:
        self.lab = lab
        self._started = started
        self._number = 0

    # Saying

    def say(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _chapter(self, title: str) -> None:
        self._number += 1
        seconds = time.monotonic() - self._started
        line = f"{self._number}. {title}"
        bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
        self.say(f"\n{bold}{line}{plain}{' ' * max(1, 70 - len(line))}[{seconds:5.1f} s]\n")

    def _type(self, *argv: str, status: int = 0) -> str:
        """Run a client command as a user would; its output is shown."""
        self.say(f"$ {' '.join(argv)}\n")
        environment = {**os.environ, "TERM": "dumb", **self.lab.environment()}
        client = agents.script("xcatclient")
        got, output = run_lines(
            [client, *argv], environment, seconds=_COMMAND_SECONDS, on_line=self.say
        )
        _expect(got == status, f"{' '.join(argv)} ended with {got} instead of {status}")
        return output

    # Looking

    def _truth(self) -> _Truth:
        store = self.lab.directory.store
        routes = {
            node: next((r[1] for r in store.host(node).routes if r[0] == "default"), "")
            for node in store.topology.kinds
        }
        return _Truth(self.lab.own_masters(), routes, records.served(self.lab.directory.database))

    def _nodes_of(self, service_node: str, nimtype: str) -> list[str]:
        """The compute nodes that a service node is the first choice of."""
        nodes = self.lab.directory.cluster.of_kind("cn")
        return [
            n.name for n in nodes if n.service_nodes[0] == service_node and n.nimtype == nimtype
        ]

    def _all_of(self, service_node: str) -> list[str]:
        return [n for t in (STANDALONE, DISKLESS) for n in self._nodes_of(service_node, t)]

    # The story

    def tell(self) -> None:
        chapters: list[tuple[str, Callable[[], None]]] = [
            ("A cluster: one management node, two service nodes, twelve AIX nodes", self._begin),
            (f"{_DEAD} dies", self._kill),
            ("What would a takeover change? Nothing is touched yet", self._dry_run),
            ("The takeover", self._move),
            ("What the nodes themselves say now", self._look),
            ("The diskless nodes are network-booted", self._boot),
            ("The journal", self._journal),
            (f"{_DEAD} comes back, and gets its nodes back", self._move_back),
        ]
        for title, tell in chapters:
            self._chapter(title)
            tell()

    def _begin(self) -> None:
        self.lab.make(Size())
        self.lab.up()
        self.say(self.lab.status())
        known_by = [self._known_by(server) for server in (_DEAD, _BACKUP)]
        self.say(f"\nTheir nodes know {' and '.join(known_by).rstrip(',')}.\n")
        for server in (_DEAD, _BACKUP):
            self._expect_served(self._truth(), self._all_of(server), server)

    def _known_by(self, server: str) -> str:
        facing = self.lab.directory.cluster.nodes[server].facing_nodes
        return f"{server} as {facing.name}, {facing.address},"

    def _kill(self) -> None:
        self.say(f"$ xcat-aix-lab kill {_DEAD}\n")
        self.lab.kill(_DEAD)
        program = agents.program_name(_DEAD)
        _expect(not self.lab.launcher.is_running(program), f"the agent of {_DEAD} still runs")
        self.say("Nobody answers there any more; its diskful nodes have lost their NIM master,\n")
        self.say("its diskless nodes everything.\n")

    def _dry_run(self) -> None:
        before = self._truth()
        output = self._type("snmove", "-s", _DEAD, "--dry-run")
        for node in self._all_of(_DEAD):
            _expect(node in output, f"the plan does not name {node}")
        _expect(self._truth() == before, "the dry run changed something")

    def _move(self) -> None:
        before = self._truth()
        output = self._type("snmove", "-s", _DEAD)
        said = [line for line in output.splitlines() if "network-boot" in line]
        for node in self._nodes_of(_DEAD, DISKLESS):
            _expect(any(node in line for line in said), f"nobody says that {node} must be booted")
        after = self._truth()
        for node in self._all_of(_BACKUP):
            same = before.of(node) == after.of(node)
            _expect(same, f"the move changed {node}, which was not to be moved")

    def _look(self) -> None:
        truth = self._truth()
        diskful = self._nodes_of(_DEAD, STANDALONE)
        self._say_files(diskful)
        self._expect_served(truth, diskful, _BACKUP)
        self._expect_changed_by_move(diskful, _BACKUP)
        self._expect_database(truth, self._all_of(_DEAD), _BACKUP)
        self.say(f"\n{self.lab.status()}")
        diskless = ", ".join(self._nodes_of(_DEAD, DISKLESS))
        self.say(f"\nTo be network-booted from {_BACKUP}: {diskless}\n")

    def _boot(self) -> None:
        diskless = self._nodes_of(_DEAD, DISKLESS)
        self.say(f"$ xcat-aix-lab boot {' '.join(diskless)}\n")
        for node in diskless:
            self.lab.boot(node)
        self._say_files(diskless)
        self._expect_served(self._truth(), self._all_of(_DEAD), _BACKUP)

    def _journal(self) -> None:
        output = self._type("snmove", "--list")
        _expect(f"snmove -s {_DEAD}" in output, "the journal does not show the move")

    def _move_back(self) -> None:
        self.say(f"$ xcat-aix-lab start {_DEAD}\n")
        self.lab.start(_DEAD)
        self._type("snmove", ",".join(self._all_of(_DEAD)), "-d", _DEAD)
        diskful, diskless = (self._nodes_of(_DEAD, t) for t in (STANDALONE, DISKLESS))
        self.say(f"$ xcat-aix-lab boot {' '.join(diskless)}\n")
        for node in diskless:
            self.lab.boot(node)
        self._say_files([*diskful, *diskless])
        self._expect_changed_by_move(diskful, _DEAD)
        for server in (_DEAD, _BACKUP):
            self._expect_served(self._truth(), self._all_of(server), server)
        self._type("snmove", "--list")

    def _say_files(self, nodes: list[str]) -> None:
        """What the nodes' own /etc/niminfo says."""
        for node in nodes:
            text = self._file(node, "/etc/niminfo")
            line = next((line for line in text.splitlines() if "MASTER_HOSTNAME" in line), "")
            self.say(f"{node}:/etc/niminfo: {line}\n")

    def _file(self, node: str, path: str) -> str:
        return self.lab.directory.store.files(node).read(path) or ""

    # Expectations

    def _expect_changed_by_move(self, nodes: list[str], server: str) -> None:
        """All that a move does on a diskful node, and that the new master may push to it."""
        store = self.lab.directory.store
        address = self.lab.directory.cluster.nodes[server].facing_nodes.address
        database = store.nim(server)
        bootlists = {node: store.host(node).bootlist for node in nodes}
        for node in nodes:
            machine = database.objects.get(node) if database else None
            control = machine.attributes.get("control", "") if machine else "push_off"
            _expect("push_off" not in control, f"{server} may not push to {node}")
            line = f"XCATSERVER={address}\n"
            _expect(line in self._file(node, "/etc/xcatinfo"), f"{node}:/etc/xcatinfo is old")
            first = bootlists[node][0]
            _expect(f"bserver={address}" in first, f"{node} would boot with {first}")
            scripts = self._file(node, "/var/log/xcat/postscripts.log")
            for script in ("syslog", "setupntp", "mkresolvconf"):
                _expect(script in scripts, f"{script} was not run on {node}")

    def _expect_served(self, truth: _Truth, nodes: list[str], server: str) -> None:
        """By the nodes' own word, and by the database."""
        facing = self.lab.directory.cluster.nodes[server].facing_nodes
        for node in nodes:
            own = truth.masters.get(node)
            _expect(own == server, f"{node} says that its NIM master is {own}, not {server}")
            route = truth.routes[node]
            _expect(
                route == facing.address, f"the default route of {node} is {route}, not {server}"
            )
        self._expect_database(truth, nodes, server)

    def _expect_database(self, truth: _Truth, nodes: list[str], server: str) -> None:
        facing = self.lab.directory.cluster.nodes[server].facing_nodes
        for node in nodes:
            said = truth.served[node]
            first = said.service_nodes.partition(",")[0]
            _expect(first == server, f"the database says that {first} serves {node}, not {server}")
            _expect(
                said.master in (facing.name, facing.address),
                f"the database says that the xcatmaster of {node} is {said.master}",
            )


def _expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise _Wrong(otherwise)
