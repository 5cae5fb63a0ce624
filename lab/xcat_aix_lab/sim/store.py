"""Where the simulated cluster's state lives: in a lab directory, or in memory.

Both are used by the same :mod:`execute`; neither knows a command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time

from .faults import Faults
from .files import DirectoryFiles, MemoryFiles, replace
from .host import SimulatedHost
from .objects import SimulatedDatabase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from .files import Files

    class Store(Protocol):
        """All nodes' state.

        What is read is a value that nobody changes any more, so reading needs no lock.  To change
        something: read, change a copy and save with the lock held that it belongs to.  No lock but
        :meth:`nim_lock` is ever held while another one is waited for.
        """

        topology: Topology

        def lock(self, node: str) -> contextlib.AbstractContextManager[None]:
            """For the node's host state and the files a command reads and writes again."""

        def fault_lock(self, node: str) -> contextlib.AbstractContextManager[None]:
            """For the node's faults."""

        def nim_lock(self, node: str, patience: float) -> contextlib.AbstractContextManager[bool]:
            """NIM's global lock on one master, for its database; False if not free in ``patience`` s."""

        def host(self, node: str) -> SimulatedHost:
            """The host's state; not to be changed in place."""

        def save_host(self, host: SimulatedHost) -> None:
            """Keep a changed host."""

        def nim(self, node: str) -> SimulatedDatabase | None:
            """The node's NIM database, or None where NIM is not configured as a master."""

        def save_nim(self, node: str, database: SimulatedDatabase | None) -> None:
            """Keep a changed database; None ends the node's time as a master."""

        def files(self, node: str) -> Files:
            """The node's files."""

        def faults(self, node: str) -> Faults:
            """What is broken there."""

        def save_faults(self, node: str, faults: Faults) -> None:
            """Keep changed faults."""


class Topology:
    """Which names and addresses lead to which node; never changed while a lab lives."""

    def __init__(self, names: dict[str, tuple[str, str]], kinds: dict[str, str]) -> None:
        self.names = names
        self.kinds = kinds

    def find(self, name: str) -> tuple[str, str] | None:
        """(node, address) of a host name, long or short, or an address."""
        found = self.names.get(name)
        return found if found is not None else self.names.get(name.partition(".")[0])

    def name_of(self, address: str) -> str | None:
        """The first host name that was given to an address."""
        for name, (_, own) in self.names.items():
            if own == address and name != address:
                return name
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data for :meth:`from_json`."""
        return {"names": self.names, "kinds": self.kinds}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Topology:
        """The inverse of :meth:`to_json`."""
        names = {name: (node, address) for name, (node, address) in data["names"].items()}
        return cls(names, data["kinds"])


_NOTHING = Faults()


class MemoryStore:
    """State in this process only."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._hosts: dict[str, SimulatedHost] = {}
        self._nims: dict[str, SimulatedDatabase | None] = {}
        self._files: dict[str, Files] = {}
        self._faults: dict[str, Faults] = {}
        self._locks = {
            (kind, node): threading.Lock()
            for node in topology.kinds
            for kind in ("host", "fault", "nim")
        }

    def lock(self, node: str) -> contextlib.AbstractContextManager[Any]:
        """For the node's host state."""
        return self._locks["host", node]

    def fault_lock(self, node: str) -> contextlib.AbstractContextManager[Any]:
        """For the node's faults."""
        return self._locks["fault", node]

    @contextlib.contextmanager
    def nim_lock(self, node: str, patience: float) -> Iterator[bool]:
        """NIM's global lock on one master."""
        lock = self._locks["nim", node]
        held = lock.acquire(timeout=patience)
        try:
            yield held
        finally:
            if held:
                lock.release()

    def host(self, node: str) -> SimulatedHost:
        """The host's state."""
        return self._hosts[node]

    def save_host(self, host: SimulatedHost) -> None:
        """Keep a changed host."""
        self._hosts[host.name] = host

    def nim(self, node: str) -> SimulatedDatabase | None:
        """The node's NIM database."""
        return self._nims.get(node)

    def save_nim(self, node: str, database: SimulatedDatabase | None) -> None:
        """Keep a changed database."""
        self._nims[node] = database

    def files(self, node: str) -> Files:
        """The node's files."""
        return self._files.setdefault(node, MemoryFiles())

    def use_directory(self, node: str, root: str) -> None:
        """Keep one node's files below a real directory, for an agent that reads them there."""
        self._files[node] = DirectoryFiles(root)

    def faults(self, node: str) -> Faults:
        """What is broken there; a copy."""
        return self._faults.get(node, _NOTHING).copy()

    def save_faults(self, node: str, faults: Faults) -> None:
        """Keep changed faults."""
        self._faults[node] = faults


class DirectoryStore:
    """State below ``<lab>/nodes/<node>``: host.json, nim.json, faults.json and root/.

    Any number of processes may use one directory at once.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._cache: dict[str, tuple[tuple[int, int, int], Any]] = {}
        self._lock_of_locks = threading.Lock()
        self._nim_locks: dict[str, threading.Lock] = {}
        self.topology: Topology = self._load(
            os.path.join(directory, "topology.json"), Topology.from_json
        )

    @classmethod
    def create(cls, directory: str, topology: Topology) -> DirectoryStore:
        """Make the store of a new lab."""
        replace(os.path.join(directory, "topology.json"), json.dumps(topology.to_json()))
        return cls(directory)

    def path(self, node: str, *names: str) -> str:
        """A path below the node's directory; raises ``KeyError`` for a node that is not there."""
        if node not in self.topology.kinds:
            raise KeyError(node)
        return os.path.join(self.directory, "nodes", node, *names)

    def lock(self, node: str) -> contextlib.AbstractContextManager[None]:
        """For the node's host state."""
        return _locked(self.path(node, "host.lock"))

    def fault_lock(self, node: str) -> contextlib.AbstractContextManager[None]:
        """For the node's faults."""
        return _locked(self.path(node, "faults.lock"))

    @contextlib.contextmanager
    def nim_lock(self, node: str, patience: float) -> Iterator[bool]:
        """NIM's global lock on one master, waited for at most ``patience`` seconds.

        Threads of this process wait for each other first; only one of them looks at the file again
        and again, as there is no waiting with a limit for it.
        """
        with self._lock_of_locks:
            own = self._nim_locks.setdefault(node, threading.Lock())
        end = time.monotonic() + patience
        if not own.acquire(timeout=patience):
            yield False
            return
        file = os.open(self.path(node, "nim.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            yield _try_lock(file, end)
        finally:
            os.close(file)
            own.release()

    def host(self, node: str) -> SimulatedHost:
        """The host's state."""
        host: SimulatedHost = self._load(self.path(node, "host.json"), SimulatedHost.from_json)
        return host

    def save_host(self, host: SimulatedHost) -> None:
        """Keep a changed host."""
        self._save(self.path(host.name, "host.json"), json.dumps(host.to_json()), host)

    def nim(self, node: str) -> SimulatedDatabase | None:
        """The node's NIM database."""
        try:
            database: SimulatedDatabase = self._load(
                self.path(node, "nim.json"), SimulatedDatabase.from_json
            )
        except FileNotFoundError:
            return None
        return database

    def save_nim(self, node: str, database: SimulatedDatabase | None) -> None:
        """Keep a changed database."""
        path = self.path(node, "nim.json")
        if database is None:
            os.unlink(path)
        else:
            self._save(path, json.dumps(database.to_json(), separators=(",", ":")), database)

    def files(self, node: str) -> Files:
        """The node's files."""
        return DirectoryFiles(self.path(node, "root"))

    def faults(self, node: str) -> Faults:
        """What is broken there; a copy."""
        try:
            faults: Faults = self._load(self.path(node, "faults.json"), Faults.from_json)
        except FileNotFoundError:
            return Faults()
        return faults.copy()

    def save_faults(self, node: str, faults: Faults) -> None:
        """Keep changed faults."""
        replace(self.path(node, "faults.json"), json.dumps(faults.to_json(), indent=1))

    def _load(self, path: str, decode: Callable[[Any], Any]) -> Any:
        """Decode a file, or take what was decoded from it if nobody has replaced it since."""
        with open(path, encoding="utf-8") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            cached = self._cache.get(path)
            if cached is not None and cached[0] == stamp:
                return cached[1]
            value = decode(json.load(file))
        self._cache[path] = (stamp, value)
        return value

    def _save(self, path: str, text: str, value: Any) -> None:
        self._cache[path] = (_stamp(replace(path, text)), value)


def _stamp(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_mtime_ns, state.st_size


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _try_lock(file: int, end: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        else:
            return True
