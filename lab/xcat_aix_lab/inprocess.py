"""The simulated commands without processes: what an agent in a large lab runs instead of programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from xcat_aix_agent.shell import Completed, not_found, timed_out
from xcat_aix_lab.sim.execute import NotInstalled, Result, execute

if TYPE_CHECKING:
    from xcat_aix_lab.sim.store import Store

_POSTSCRIPTS = "/xcatpost/"
_LOG = "/var/log/xcat/postscripts.log"


class _Expired(Exception):
    pass


class ModelCommands:
    """:class:`xcat_aix_agent.shell.Commands` by the model of NIM; one per node."""

    def __init__(
        self,
        store: Store,
        node: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._node = node
        self._sleep = sleep
        self._monotonic = monotonic

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002, ARG002 - named as in the interface; no command reads
    ) -> Completed:
        """See :meth:`xcat_aix_agent.shell.Commands.run`."""
        started = self._monotonic()
        end = started + timeout

        def sleep(seconds: float) -> None:
            left = end - self._monotonic()
            self._sleep(max(0.0, min(seconds, left)))
            if seconds > left:
                raise _Expired

        try:
            result = self._result(argv, env or {}, sleep)
        except _Expired:
            raise timed_out(argv, timeout) from None
        duration = self._monotonic() - started
        return Completed(tuple(argv), result.rc, result.stdout, result.stderr, duration)

    def _result(
        self, argv: Sequence[str], env: Mapping[str, str], sleep: Callable[[float], None]
    ) -> Result:
        if _POSTSCRIPTS in argv[0]:
            return self._postscript(argv, env)
        try:
            return execute(argv, self._node, self._store, sleep)
        except NotInstalled:
            raise not_found(argv) from None

    def _postscript(self, argv: Sequence[str], env: Mapping[str, str]) -> Result:
        """Note what it was run with, as the scripts of a lab with processes do."""
        name = argv[0].rpartition("/")[2]
        line = f"{name} {' '.join(argv[1:])} MASTER={env.get('MASTER', '')}"
        with self._store.lock(self._node):
            files = self._store.files(self._node)
            files.write(_LOG, f"{files.read(_LOG) or ''}{line} NODE={env.get('NODE', '')}\n")
        return Result(0, "", "")
