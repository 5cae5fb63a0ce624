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
from .host import Host
from .objects import NimDatabase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from .files import Files

    class Store(Protocol):
        """All nodes' state.  Everything but the locks is called with :meth:`lock` held."""

        topology: Topology

        def lock(self) -> contextlib.AbstractContextManager[None]:
            """Keep every other command of the whole lab out for a moment."""

        def nim_lock(self, node: str, patience: float) -> contextlib.AbstractContextManager[bool]:
            """NIM's global lock on one master; False if it was not free within ``patience`` s."""

        def host(self, node: str) -> Host:
            """The host's state; not to be changed in place."""

        def save_host(self, host: Host) -> None:
            """Keep a changed host."""

        def nim(self, node: str) -> NimDatabase | None:
            """The node's NIM database, or None where NIM is not configured as a master."""

        def save_nim(self, node: str, database: NimDatabase | None) -> None:
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


class MemoryStore:
    """State in this process only."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._lock = threading.RLock()
        self._hosts: dict[str, Host] = {}
        self._nims: dict[str, NimDatabase | None] = {}
        self._files: dict[str, Files] = {}
        self._faults: dict[str, Faults] = {}
        self._nim_locks = {node: threading.Lock() for node in topology.kinds}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other command out."""
        with self._lock:
            yield

    @contextlib.contextmanager
    def nim_lock(self, node: str, patience: float) -> Iterator[bool]:
        """NIM's global lock on one master."""
        held = self._nim_locks[node].acquire(timeout=patience)
        try:
            yield held
        finally:
            if held:
                self._nim_locks[node].release()

    def host(self, node: str) -> Host:
        """The host's state."""
        return self._hosts[node]

    def save_host(self, host: Host) -> None:
        """Keep a changed host."""
        self._hosts[host.name] = host

    def nim(self, node: str) -> NimDatabase | None:
        """The node's NIM database."""
        return self._nims.get(node)

    def save_nim(self, node: str, database: NimDatabase | None) -> None:
        """Keep a changed database."""
        self._nims[node] = database

    def files(self, node: str) -> Files:
        """The node's files."""
        return self._files.setdefault(node, MemoryFiles())

    def use_directory(self, node: str, root: str) -> None:
        """Keep one node's files below a real directory, for an agent that reads them there."""
        self._files[node] = DirectoryFiles(root)

    def faults(self, node: str) -> Faults:
        """What is broken there."""
        return self._faults.setdefault(node, Faults())

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
        self._depth = threading.RLock()
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

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other command of the lab out."""
        with self._depth, _locked(os.path.join(self.directory, "state.lock")):
            yield

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

    def host(self, node: str) -> Host:
        """The host's state."""
        host: Host = self._load(self.path(node, "host.json"), Host.from_json)
        return host

    def save_host(self, host: Host) -> None:
        """Keep a changed host."""
        replace(self.path(host.name, "host.json"), json.dumps(host.to_json(), indent=1))

    def nim(self, node: str) -> NimDatabase | None:
        """The node's NIM database."""
        try:
            database: NimDatabase = self._load(self.path(node, "nim.json"), NimDatabase.from_json)
        except FileNotFoundError:
            return None
        return database

    def save_nim(self, node: str, database: NimDatabase | None) -> None:
        """Keep a changed database."""
        path = self.path(node, "nim.json")
        if database is None:
            os.unlink(path)
        else:
            replace(path, json.dumps(database.to_json(), separators=(",", ":")))

    def files(self, node: str) -> Files:
        """The node's files."""
        return DirectoryFiles(self.path(node, "root"))

    def faults(self, node: str) -> Faults:
        """What is broken there; read anew each time, the caller may change it."""
        try:
            with open(self.path(node, "faults.json"), encoding="utf-8") as file:
                return Faults.from_json(json.load(file))
        except FileNotFoundError:
            return Faults()

    def save_faults(self, node: str, faults: Faults) -> None:
        """Keep changed faults."""
        replace(self.path(node, "faults.json"), json.dumps(faults.to_json(), indent=1))

    def _load(self, path: str, decode: Callable[[Any], Any]) -> Any:
        """Decode a file, or take what was decoded from it if nobody has replaced it since."""
        with open(path, encoding="utf-8") as file:
            stat = os.fstat(file.fileno())
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            cached = self._cache.get(path)
            if cached is not None and cached[0] == stamp:
                return cached[1]
            value = decode(json.load(file))
        self._cache[path] = (stamp, value)
        return value


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
