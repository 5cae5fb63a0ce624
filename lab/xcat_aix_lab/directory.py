"""A lab's directory: where everything lies, and what is written there when the lab is made.

Processes are :mod:`launcher`'s business, certificates :mod:`certificates`'.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from xcat_aix_lab import claims, clusterfile
from xcat_aix_lab.cluster import AGENTPORT, Cluster, SampleSettings, sample
from xcat_aix_lab.prepare import copy_to_directory, prepare
from xcat_aix_lab.sim import commands, executable
from xcat_aix_lab.sim.store import DirectoryStore

_POSTSCRIPTS = ("syslog", "setupntp", "mkresolvconf", "otherpkgs", "servicenode", "remoteshell")
# Every xcatd of the machine listens on all addresses, so the port has to differ by lab.
_FIRST_PORT = 21000
_PORTS_PER_LAB = 4
#: The cluster of a lab that is not the sample.
_CLUSTER = "cluster.json"


@dataclass(frozen=True, slots=True)
class Size:
    """What may be chosen when a lab is made."""

    compute_nodes: int = 12
    service_nodes: int = 2
    diskful_percent: int = 50


class LabDirectory:
    """The paths of one lab and what is known of it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.cert = self.path / "xcat" / "cert"
        self.confdir = self.path / "xcat"
        self.client = self.path / "client"
        self.database = self.path / "cfg"
        self.logs = self.path / "log"
        self.run = self.path / "run"
        self.sources = self.path / "bin"

    @property
    def exists(self) -> bool:
        """Tell whether the lab was made completely."""
        return (self.path / "lab.json").exists()

    @property
    def is_from_dump(self) -> bool:
        """Tell whether this is not the sample cluster."""
        return (self.path / _CLUSTER).exists()

    @cached_property
    def settings(self) -> SampleSettings:
        """The settings the lab was made with."""
        return SampleSettings(**json.loads((self.path / "lab.json").read_text(encoding="utf-8")))

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster as it was made (the database may say other things by now)."""
        if self.is_from_dump:
            return clusterfile.loads((self.path / _CLUSTER).read_text(encoding="utf-8"))
        return sample(self.settings)

    @cached_property
    def store(self) -> DirectoryStore:
        """The state of the simulated hosts."""
        return DirectoryStore(str(self.path))

    def node(self, name: str) -> Path:
        """The directory of one node."""
        return self.path / "nodes" / name

    def files(self, name: str) -> Path:
        """What stands for ``/`` on one node."""
        return self.node(name) / "root"

    def create(self, size: Size) -> None:
        """Make everything but certificates and database; :meth:`finish` marks the end."""
        self.write_hosts(self._claim(size))

    def create_with(self, make: Callable[[SampleSettings], Cluster]) -> None:
        """As :meth:`create`, for a cluster that is made for the lab's settings.

        Whatever ``make`` raises, nothing is left of the lab.
        """
        existed = self.path.exists()
        try:
            settings = self._claim(Size())
            cluster = make(settings)
        except BaseException:
            claims.give_up(self.path)
            if not existed:
                self.path.rmdir()
            raise
        (self.path / _CLUSTER).write_text(clusterfile.dumps(cluster), encoding="utf-8")
        self.cluster = cluster
        self.write_hosts(settings)

    def _claim(self, size: Size) -> SampleSettings:
        self.path.mkdir(parents=True, exist_ok=True)
        octet = claims.claim(self.path, AGENTPORT)
        return SampleSettings(
            octet=octet,
            xcatdport=_FIRST_PORT + _PORTS_PER_LAB * octet,
            confdir=str(self.confdir),
            **asdict(size),
        )

    def write_hosts(self, settings: SampleSettings) -> None:
        """Make the simulated hosts of a lab with ``settings``, and their commands."""
        self.settings = settings
        for directory in (self.cert, self.client, self.database, self.logs, self.run):
            directory.mkdir(parents=True, exist_ok=True)
        store = DirectoryStore.create(str(self.path), self.cluster.topology())
        copy_to_directory(prepare(self.cluster), store)
        self._install_commands()
        self._install_postscripts()
        self._install_hosts_file()

    def finish(self) -> None:
        """Mark the lab as complete."""
        text = json.dumps(asdict(self.settings), indent=1)
        (self.path / "lab.json").write_text(text, encoding="utf-8")

    def _install_commands(self) -> None:
        """One launcher; per kind of host a directory of links to it; per node a link to that."""
        self.sources.mkdir(exist_ok=True)
        launcher = self.sources / "launch"
        python, program = shlex.quote(sys.executable), shlex.quote(executable.__file__)
        launcher.write_text(f'#!/bin/sh\nexec {python} -I -S {program} "$0" "$@"\n')
        launcher.chmod(0o755)
        for kind in ("mn", "sn", "cn"):
            directory = self.sources / kind
            directory.mkdir(exist_ok=True)
            for name in commands.names(kind):
                _link(directory / name, "../launch")
        for node in self.cluster.nodes.values():
            _link(self.node(node.name) / "bin", f"../../bin/{node.kind}")

    def _install_postscripts(self) -> None:
        """Postscripts that note what they were run with in the node's own log."""
        shared = self.path / "postscripts"
        shared.mkdir(exist_ok=True)
        for name in _POSTSCRIPTS:
            script = shared / name
            script.write_text(
                "#!/bin/sh\n"
                'root="${0%/xcatpost/*}"\n'
                'mkdir -p "$root/var/log/xcat"\n'
                f'echo "{name} $* MASTER=$MASTER NODE=$NODE" >>"$root/var/log/xcat/postscripts.log"\n'
            )
            script.chmod(0o755)
        for node in self.cluster.nodes.values():
            _link(self.node(node.name) / "root" / "xcatpost", "../../../postscripts")

    def _install_hosts_file(self) -> None:
        """One /etc/hosts for all nodes: how the agents turn names into addresses."""
        lines = ["127.0.0.1 localhost\n"]
        for node in self.cluster.nodes.values():
            for interface in node.interfaces:
                names = [interface.name]
                names += node.aliases if interface is node.interfaces[0] else ()
                lines.append(f"{interface.address} {' '.join(names)}\n")
        (self.path / "hosts").write_text("".join(lines), encoding="utf-8")
        for node in self.cluster.nodes.values():
            _link(self.node(node.name) / "root" / "etc" / "hosts", "../../../../hosts")


def _link(place: Path, target: str) -> None:
    if not place.is_symlink():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
