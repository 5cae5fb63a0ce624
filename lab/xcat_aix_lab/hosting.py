"""Many agents in one process: for large labs, where a process per node would not fit the machine.

The agents are the real ones, with their own certificates and addresses; only the commands they run are
the model's, and jobs are threads.  ``python -m xcat_aix_lab.hosting DIR`` serves until SIGTERM; SIGUSR1
makes it look again which nodes are down.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xcat_aix_agent import config as agent_config
from xcat_aix_agent.serving.acceptor import Acceptor
from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_lab import agents
from xcat_aix_lab.directory import LabDirectory
from xcat_aix_lab.former import Former, FormerAgent
from xcat_aix_lab.inprocess import ModelCommands
from xcat_aix_lab.prepare import prepare
from xcat_aix_lab.sim.files import replace

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import MemoryStore, Store

_SECONDS_TO_END = 1.0


class Hosting:
    """The agents of a lab that run in this process."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._acceptor = Acceptor()
        self._servers: dict[str, AgentServer] = {}

    @property
    def running(self) -> list[str]:
        """The nodes whose agents run."""
        return list(self._servers)

    def start(self, names: Iterable[str]) -> None:
        """Start agents; raises what ``AgentServer.start`` raises."""
        for name in names:
            server = self._make(name)
            server.start()
            self._servers[name] = server

    def _make(self, name: str) -> AgentServer:
        make: Callable[..., AgentServer] = AgentServer
        recording = agents.former_file(self._lab, name)
        if recording.exists():
            make = partial(FormerAgent, Former.read(recording))
        return make(
            agent_config.load(agents.config_file(self._lab, name)),
            commands=ModelCommands(self._store, name),
            runner="inline",
            acceptor=self._acceptor,
        )

    def kill(self, name: str) -> None:
        """End one agent as if its node had died: nothing is finished."""
        self._servers.pop(name).stop(_SECONDS_TO_END, abandon=True)

    def follow_faults(self) -> None:
        """Start and kill agents as the nodes are up or down by now."""
        up = [
            node.name
            for node in self._lab.cluster.with_agent
            if not self._store.faults(node.name).down
        ]
        for name in [name for name in self._servers if name not in up]:
            self.kill(name)
        self.start(name for name in up if name not in self._servers)

    def publish(self) -> None:
        """Let other programs of the lab know which agents run."""
        replace(str(agents.hosted_file(self._lab)), "\n".join(self.running))

    def close(self) -> None:
        """End all agents."""
        for name in self.running:
            self.kill(name)
        self._acceptor.close()


def in_memory(lab: LabDirectory) -> MemoryStore:
    """The lab's first state in memory; the nodes' files stay below their directories."""
    store = prepare(lab.cluster)
    for name in lab.cluster.nodes:
        store.use_directory(name, str(lab.node(name) / "root"))
    return store


def main(args: list[str]) -> int:
    """Host the agents of the lab ``args[0]`` until SIGTERM; ``--memory`` keeps NIM in memory."""
    # Blocked before any thread begins, and then waited for: so it does not matter which thread the
    # system would deliver a signal to.
    awaited = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    lab = LabDirectory(Path(args[0]))
    hosting = Hosting(lab, in_memory(lab) if "--memory" in args else lab.store)
    hosting.follow_faults()
    hosting.publish()
    sys.stdout.write(f"xcat-aix-lab: {len(hosting.running)} agents ready at {lab.path}\n")
    sys.stdout.flush()
    while signal.sigwait(awaited) is signal.SIGUSR1:
        hosting.follow_faults()
        hosting.publish()
    hosting.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
