"""A lab as a whole: bring it up, look, break it, end it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals

from xcat_aix_lab import agents, certificates, claims, records, report
from xcat_aix_lab.breakage import BadFault
from xcat_aix_lab.breakage import apply as apply_fault
from xcat_aix_lab.cluster import DISKLESS, Cluster, SampleSettings
from xcat_aix_lab.directory import LabDirectory, Size
from xcat_aix_lab.dump import read as read_dump
from xcat_aix_lab.launcher import Launcher, Program, kill_jobs, run_through, wait_until
from xcat_aix_lab.netboot import CannotBoot, netboot
from xcat_aix_lab.rehearsal import RehearsalReport, rehearse

DAEMON = "xcatd"
_ALL_AGENTS = "agents"
_START, _END = 60.0, 10.0


class LabError(Exception):
    """The lab cannot do what is asked; the message says what to do."""


def _on_node(files: Path, word: str) -> str:
    """A path as a tool of this machine must be given it to work on the node's own file."""
    return f"{files}{os.path.normpath(word)}" if word.startswith("/") else word


class Lab:
    """One lab directory and its processes."""

    def __init__(self, path: Path) -> None:
        self.directory = LabDirectory(path)
        self.launcher = Launcher(self.directory.run)

    @classmethod
    def existing(cls, path: Path) -> Lab:
        """A lab that was made before; raises :class:`LabError`."""
        lab = cls(path)
        if not lab.directory.exists:
            raise LabError(
                f"there is no lab in {path}: make one with 'xcat-aix-lab up --dir {path}'"
            )
        return lab

    # Up and down

    def make(self, size: Size) -> None:
        """Make the directory, unless it is there; raises :class:`LabError`."""
        directory = self.directory
        if directory.exists:
            if claims.renew(directory.path) is None:
                text = "another lab has its addresses by now: end that one, or make a new lab"
                raise LabError(f"cannot use the lab in {directory.path}: {text}")
            return
        directory.create(size)
        self._complete()

    def _complete(self) -> None:
        directory = self.directory
        now = datetime.now(UTC)
        certificates.make(directory.cert, directory.client, hostname="mn", now=now)
        agents.make_files(directory, now)
        records.fill(directory.database, directory.cluster.tables)
        directory.finish()

    def make_from(self, dump: Path, hosts_file: Path | None) -> RehearsalReport:
        """Make the directory from a cluster's dump; raises :class:`LabError` and :class:`DumpError`."""
        directory = self.directory
        if directory.exists:
            raise LabError(
                f"there is a lab in {directory.path} already: --from-dump makes a new one; end that one with"
                f" 'xcat-aix-lab down --remove --dir {directory.path}'"
            )
        found, summaries = read_dump(dump), []

        def make(settings: SampleSettings) -> Cluster:
            cluster, summary = rehearse(found, settings, hosts_file)
            summaries.append(summary)
            return cluster

        directory.create_with(make)
        self._complete()
        return summaries[0]

    def up(self, *, in_process: bool = False, memory: bool = False) -> None:
        """Start what does not run; raises ``NotReady``.

        ``in_process`` hosts all agents in one process; a lab that does so already goes on so.
        ``memory`` lets that process keep hosts and NIM databases to itself: for measurements, as
        what the nodes do then shows in their files only.
        """
        alive = [n.name for n in self.directory.cluster.with_agent if not self.is_down(n.name)]
        if in_process and any(self.launcher.is_running(agents.program_name(n)) for n in alive):
            raise LabError("the agents run as processes: end them first with 'xcat-aix-lab down'")
        if in_process or self.launcher.is_running(_ALL_AGENTS):
            programs = [agents.hosting_program(self.directory, _ALL_AGENTS, memory=memory)]
        else:
            programs = [agents.program(self.directory, node) for node in alive]
        self.launcher.start([self._daemon(), *programs], _START)

    def _daemon(self) -> Program:
        directory = self.directory
        return Program(
            DAEMON,
            [agents.script("xcatd"), "-f", "-p", str(directory.run / "xcatd.self")],
            {**os.environ, "XCATCFG": f"SQLite:{directory.database}"},
            directory.logs / "xcatd.log",
            "ready on port",
        )

    def down(self) -> list[str]:
        """End all processes of the lab; returns which there were."""
        running = self.launcher.running()
        ended = self.launcher.end(running, _END)
        for node in self.directory.cluster.with_agent:
            kill_jobs(self.directory.node(node.name) / "jobs")
        return ended

    def remove(self) -> None:
        """Take the lab's directory away."""
        shutil.rmtree(self.directory.path)

    # One node

    def is_down(self, node: str) -> bool:
        """Tell whether a node was killed."""
        return self.directory.store.faults(node).down

    def _mark(self, node: str, *, down: bool) -> None:
        store = self.directory.store
        with store.fault_lock(node):
            faults = store.faults(node)
            faults.down = down
            store.save_faults(node, faults)

    def check(self, node: str) -> str:
        """``node`` if there is one of that name; raises :class:`LabError`."""
        if node not in self.directory.cluster.nodes:
            raise LabError(
                f"there is no node {node}: there are {', '.join(self.directory.cluster.nodes)}"
            )
        return node

    def kill(self, node: str) -> None:
        """The node dies: its agent and all it runs at once, and nobody reaches it any more."""
        if self.check(node) == "mn":
            self.launcher.kill(DAEMON)
            return
        self._mark(node, down=True)
        self.launcher.kill(agents.program_name(node))
        self._tell_host(node)
        kill_jobs(self.directory.node(node) / "jobs")

    def start(self, node: str) -> None:
        """The node comes back; raises ``NotReady``."""
        if self.check(node) == "mn":
            self.launcher.start([self._daemon()], _START)
            return
        self._mark(node, down=False)
        if self.directory.cluster.nodes[node] not in self.directory.cluster.with_agent:
            return
        if self.launcher.is_running(_ALL_AGENTS):
            self._tell_host(node)
        else:
            self.launcher.start([agents.program(self.directory, node)], _START)

    def _tell_host(self, node: str) -> None:
        """Let the process that hosts all agents, if there is one, follow; wait until it did."""
        if not self.launcher.signal(_ALL_AGENTS, Signals.SIGUSR1):
            return
        wanted = not self.is_down(node)
        wait_until(
            lambda: (node in self._hosted()) == wanted,
            _END,
            f"the hosting process does not follow; see {self.directory.logs / 'agents.log'}",
        )

    def _hosted(self) -> list[str]:
        try:
            return agents.hosted_file(self.directory).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []

    def execute(self, node: str, argv: Sequence[str]) -> int:
        """Run a command on a node with our own terminal; returns its exit code."""
        if self.is_down(self.check(node)):
            raise LabError(
                f"cannot run {argv[0]} on {node}: {node} is down (xcat-aix-lab start {node})"
            )
        path = agents.command_path(self.directory, node)
        found = shutil.which(argv[0], path=path)
        if found is None:
            sys.stderr.write(f"ksh: {argv[0]}:  not found.\n")
            return 127
        files = self.directory.files(node).resolve()
        if not agents.is_simulated(self.directory, node, found):
            argv = [argv[0], *(_on_node(files, word) for word in argv[1:])]
        return run_through(argv, {"PATH": path, "LC_ALL": "C"}, files)

    def boot(self, node: str) -> None:
        """Network-boot a diskless node from its xcatmaster, as ``rnetboot`` would."""
        found = self.directory.cluster.nodes[self.check(node)]
        if found.nimtype != DISKLESS:
            raise LabError(f"cannot network-boot {node}: it is not a diskless node")
        server = records.served(self.directory.database)[node].master
        try:
            netboot(self.directory.store, node, found.address, server)
        except CannotBoot as error:
            raise LabError(str(error)) from None

    def fault(self, node: str, words: Sequence[str]) -> str:
        """Break or mend a node (:data:`breakage.USAGE`); returns what to print."""
        self.check(node)
        try:
            if list(words[:1]) in (["freeze"], ["thaw"]):
                return self._freeze(node, frozen=words[0] == "freeze")
            return apply_fault(self.directory.store, node, words)
        except BadFault as error:
            raise LabError(str(error)) from None

    def _freeze(self, node: str, *, frozen: bool) -> str:
        """Stop the agent's process as it is: connections are accepted and nothing answers."""
        name = DAEMON if node == "mn" else agents.program_name(node)
        if not self.launcher.signal(name, Signals.SIGSTOP if frozen else Signals.SIGCONT):
            raise LabError(f"cannot freeze {node}: it has no process of its own that runs")
        return ""

    # Looking

    def environment(self) -> dict[str, str]:
        """What points a client at this lab."""
        settings = self.directory.settings
        return {
            "XCATHOST": f"{self.directory.cluster.nodes['mn'].address}:{settings.xcatdport}",
            "XCATCLIENTCERTS": str(self.directory.client),
            "XCATCFG": f"SQLite:{self.directory.database}",
        }

    def status(self) -> str:
        """Who serves whom, and what runs; raises ``DatabaseError``."""
        directory = self.directory
        running = self._running_agents()
        found = report.views(directory.cluster, directory.store, records.served(directory.database))
        state = "runs" if DAEMON in running else "does not run"
        return (
            f"xcatd {state} at {self.environment()['XCATHOST']}\n"
            + report.servers(directory.cluster, directory.store, running)
            + "\n"
            + report.table(found, directory.cluster, running)
        )

    def _running_agents(self) -> list[str]:
        """The programs that run, with one entry per agent where one process hosts them all."""
        running = self.launcher.running()
        if _ALL_AGENTS in running:
            running += [agents.program_name(name) for name in self._hosted()]
        return running

    def own_masters(self) -> Mapping[str, str]:
        """The NIM master of each node, by the node's own /etc/niminfo."""
        return report.own_masters(self.directory.store)
