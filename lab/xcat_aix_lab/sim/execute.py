"""Run one simulated command: faults, waiting, locks, then the command; all or nothing."""

from __future__ import annotations

import contextlib

from . import commands, messages
from .world import DiskFull, NimLockNeeded, Pause, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .store import Store

#: A NIM command that finds the master busy waits this many seconds before it gives up.
PATIENCE = 10.0
_POLL = 0.05


class NotInstalled(Exception):
    """The host has no such command."""


class Result:
    """Exit code and output of a command."""

    __slots__ = ("rc", "stderr", "stdout")

    def __init__(self, rc: int, stdout: str, stderr: str) -> None:
        self.rc = rc
        self.stdout = stdout
        self.stderr = stderr


def execute(
    argv: Sequence[str],
    node: str,
    store: Store,
    sleep: Callable[[float], None],
    *,
    patience: float = PATIENCE,
) -> Result:
    """Run ``argv`` on ``node``; raises :class:`NotInstalled`.  ``sleep`` may raise to stop it."""
    name = argv[0].rpartition("/")[2]
    command = commands.find(name, store.topology.kinds[node])
    if command is None:
        raise NotInstalled(name)
    operation = commands.operation_of(list(argv[1:]))
    passed: set[str] = set()
    locks: dict[str, bool] = {}
    with contextlib.ExitStack() as held:
        while True:
            world = World(store, node, name, operation, words=argv[1:], passed=passed, locks=locks)
            try:
                with store.lock(node):
                    return _attempt(command, list(argv[1:]), world)
            except Pause as pause:
                _wait(pause, store, sleep)
            except NimLockNeeded as need:
                locks[need.node] = held.enter_context(store.nim_lock(need.node, patience))


def _attempt(command: commands.Command, args: list[str], world: World) -> Result:
    try:
        if world.command != "nim":  # that one does it with NIM's lock held
            world.obey_faults(world.node)
        stdout = command(args, world)
        world.commit()
    except messages.CommandError as error:
        return Result(error.rc, error.stdout, error.stderr)
    except messages.NimError as error:
        return Result(messages.exit_code(error.number), "", _described(error, world))
    except DiskFull as error:
        text = f"cannot create {error}: There is not enough space in the file system."
        full = messages.NimError(messages.UNEXPECTED, world.command, text)
        return Result(messages.exit_code(full.number), "", _described(full, world))
    return Result(0, stdout, "")


def _described(error: messages.NimError, world: World) -> str:
    if world.command not in ("nim", "niminit", "nimclient"):
        return error.line()
    where = "master" if world.command == "nim" else world.node
    return error.nested(world.command, where)


def _wait(pause: Pause, store: Store, sleep: Callable[[float], None]) -> None:
    if not pause.until_cleared:
        sleep(pause.seconds)
        return
    waited = 0.0
    while waited < pause.seconds:
        sleep(_POLL)
        waited += _POLL
        if not any(rule.action == "hang" for rule in store.faults(pause.node).rules):
            return
