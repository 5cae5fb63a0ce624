"""What one running command sees: its own host, the others it can reach, and what is broken."""

from __future__ import annotations

from . import faults as kinds
from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .host import SimulatedHost
    from .objects import SimulatedDatabase
    from .store import Store

TIMED_OUT = "A remote host did not respond within the timeout period."
REFUSED = "A remote host refused an attempted connect operation."


class Pause(Exception):  # noqa: N818  (a request of the command to its executor, not an error)
    """The command takes time: take all back, wait ``seconds`` without any lock, run it again."""

    def __init__(self, key: str, seconds: float, node: str, *, until_cleared: bool) -> None:
        super().__init__(key)
        self.key = key
        self.seconds = seconds
        self.node = node
        self.until_cleared = until_cleared


class NimLockNeeded(Exception):  # noqa: N818  (as above)
    """The command changes a NIM database: take all back, get that master's lock, run it again."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


class DiskFull(Exception):  # noqa: N818  (the name of the condition)
    """A file system has no space left."""


class World:
    """One attempt to run one command on ``node``; changes are copies until :meth:`commit`."""

    def __init__(
        self,
        store: Store,
        node: str,
        command: str,
        operation: str | None,
        *,
        words: Sequence[str] = (),
        passed: set[str],
        locks: dict[str, bool],
    ) -> None:
        self.store = store
        self.node = node
        self.command = command
        self.operation = operation
        self.words = words
        self._passed = passed
        self._locks = locks
        self._hosts: dict[str, SimulatedHost] = {}
        self._nims: dict[str, SimulatedDatabase] = {}
        self._ended: list[str] = []

    # Hosts and files

    @property
    def host(self) -> SimulatedHost:
        """The host the command runs on, for reading."""
        return self.host_of(self.node)

    def host_of(self, node: str) -> SimulatedHost:
        """A host for reading."""
        return self._hosts.get(node) or self.store.host(node)

    def edit_host(self) -> SimulatedHost:
        """The host the command runs on, for changing."""
        if self.node not in self._hosts:
            self._hosts[self.node] = self.store.host(self.node).copy()
        return self._hosts[self.node]

    def read(self, path: str, node: str | None = None) -> str | None:
        """A file of a node, by default of the own one."""
        return self.store.files(node or self.node).read(path)

    def write(self, path: str, text: str, node: str | None = None) -> None:
        """Replace a file of a node; raises :class:`DiskFull`."""
        owner = node or self.node
        if self.store.faults(owner).disk_full:
            raise DiskFull(path)
        self.store.files(owner).write(path, text)

    # Others

    def resolve(self, name: str) -> tuple[str, str] | None:
        """(node, address) that a name or an address leads to, or None."""
        return self.store.topology.find(name)

    def is_up(self, node: str) -> bool:
        """Tell whether a node answers at all."""
        return not self.store.faults(node).down

    def contact(self, name: str, method: str) -> str:
        """The NIM master behind ``name``, after whatever is broken there; raises message 006."""
        found = self.resolve(name)
        if found is None:
            raise messages.NimError(messages.CONNECT, method, f'unable to resolve "{name}"')
        node = found[0]
        if not self.is_up(node):
            raise messages.NimError(messages.CONNECT, method, f"(To_master) connect {TIMED_OUT}")
        self.obey_faults(node)
        host = self.host_of(node)
        if self.store.nim(node) is None or not host.is_active("nimesis"):
            raise messages.NimError(messages.CONNECT, method, f"(To_master) connect {REFUSED}")
        return node

    def quirk(self, name: str, node: str | None = None) -> bool:
        """How a node behaves where sources differ (:data:`faults.QUIRKS`)."""
        return self.store.faults(node or self.node).quirk(name)

    # NIM

    def nim(self, method: str, node: str | None = None) -> SimulatedDatabase:
        """A node's NIM database for reading; raises message 012 where there is none."""
        owner = node or self.node
        database = self._nims.get(owner) or self.store.nim(owner)
        if database is None:
            raise messages.NimError(
                messages.NOT_MASTER, method, "this command may only be executed on a NIM master"
            )
        return database

    def edit_nim(self, method: str, node: str | None = None) -> SimulatedDatabase:
        """A node's NIM database for changing, with its global lock held; raises message 013."""
        owner = node or self.node
        database = self.nim(method, owner)
        if owner not in self._locks:
            raise NimLockNeeded(owner)
        if not self._locks[owner]:
            raise messages.NimError(
                messages.BUSY, method, "unable to acquire the NIM global lock: NIM is busy"
            )
        self.obey_faults(owner)  # here, so that a slow operation keeps the lock
        if owner not in self._nims:
            self._nims[owner] = database.draft()
        return self._nims[owner]

    def start_nim(self, database: SimulatedDatabase) -> None:
        """Make the own host a master."""
        self._nims[self.node] = database

    def end_nim(self) -> None:
        """End the own host's time as a master."""
        self._nims.pop(self.node, None)
        self._ended.append(self.node)

    # Faults

    def obey_faults(self, node: str) -> None:
        """Wait, hang or fail as the faults of ``node`` ask for this command."""
        if node in self._passed:
            return
        self._passed.add(node)
        if not self.store.faults(node).rules:
            return
        with self.store.fault_lock(node):
            found = self.store.faults(node)
            rule = found.take(self.command, self.operation, self.words)
            if rule is not None and rule.times is not None:
                self.store.save_faults(node, found)
        if rule is None:
            return
        if rule.action == kinds.FAIL:
            text = rule.text or "failure injected by the lab"
            raise messages.NimError(rule.number or messages.UNEXPECTED, self.command, text)
        hang = rule.action == kinds.HANG
        seconds = kinds.HANG_SECONDS if hang else rule.seconds
        raise Pause(node, seconds, node, until_cleared=hang)

    # Ends

    def commit(self) -> None:
        """Keep what the command changed."""
        for host in self._hosts.values():
            self.store.save_host(host)
        for node, database in self._nims.items():
            if database.changed:
                self.store.save_nim(node, database)
        for node in self._ended:
            self.store.save_nim(node, None)
