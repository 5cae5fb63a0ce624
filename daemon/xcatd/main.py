"""``xcatd [-f] [-p FILE] [--port N] [--upstream HOST:PORT]``: puts the parts together and runs them.

The only place that reads the environment.  Facts: docs/facts/wire.md, Transport and TLS; docs/facts/daemon.md,
Processes.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import ssl
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xcatd.serving.audit import AuditWriter
from xcatd.serving.crowd import Group, Shares
from xcatd.serving.guesses import Guesses
from xcatd.serving.listener import listen
from xcatd.serving.peer import PeerTimes
from xcatd.serving.peernames import PeerNames
from xcatd.serving.pool import WorkerPool
from xcatd.serving.server import Server
from xcatd.serving.session import Services, Session

from . import __version__, files, logs, process
from .agents import AgentPool
from .context import Clock, SystemClock
from .db import location, owntables
from .db.database import Database
from .db.errors import DatabaseError
from .notification.notifier import TABLE as NOTIFICATION
from .notification.notifier import Notifier
from .plugins import PluginHost
from .site import MN_MARKER, SN_MARKER, LastGood, Settings, SettingsError
from .tls import CertificateError, ServerContexts
from .upstream import Address, AddressError, RelayLimits, Upstream
from .watching import watching
from .watching.watching import Watcher, Watching

_log = logging.getLogger(__name__)

VERSION = f"Version {__version__} (xcat-aix)"
_FRONT_THREADS = 8
_BACKLOG = 1024  # jobs that may wait in a pool
_MOST_PEERS = 1024
_LAST_HOOKS = 5.0  # seconds for the notification hooks of the last commands
_LAST_LOOKS = 5.0  # seconds for watchers to come back
_LAST_ROWS = 5.0  # seconds for the audit rows of the last commands


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the daemon runs; ``root`` stands before the marker files' paths."""

    hostname: str
    environ: Mapping[str, str]
    root: Path = Path("/")

    @classmethod
    def here(cls) -> Machine:
        """This one."""
        return cls(socket.gethostname().partition(".")[0], os.environ)

    def is_mn(self) -> bool:
        """A management node; a machine that is not marked at all counts as one, and that is said."""
        if (self.root / MN_MARKER).exists():
            return True
        if (self.root / SN_MARKER).exists():
            return False
        _log.warning(
            "neither /%s nor /%s exists: this machine counts as the management node",
            MN_MARKER,
            SN_MARKER,
        )
        return True


class Daemon:
    """The parts, ready to be served once sockets are there.

    Raises DatabaseError, :class:`SettingsError` or :class:`CertificateError` when it cannot start.
    """

    def __init__(
        self,
        machine: Machine,
        clock: Clock | None = None,
        plugins: PluginHost | None = None,
        upstream: Upstream | Address | None = None,
        watchers: Mapping[str, Watcher] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        place = location.find(machine.environ)
        self._database = Database.open(place)
        self._contexts = ServerContexts()
        self._last_good = LastGood(self._contexts.prepare)
        self.settings = self._last_good.of(self._database.read(["site"]).site)
        self._define_tables()
        self._contexts.get(self.settings)
        is_mn = machine.is_mn()
        if is_mn:
            self._database.create_missing_tables()
        self._notifier = Notifier(
            lambda: self._database.select(NOTIFICATION),
            self._clock.monotonic,
            machine.environ,
            is_on=lambda: self._current_settings().notification,
        )
        self._database.observe(self._notifier)
        self._writer = AuditWriter(
            self._insert_audit_rows, self._clock.now, monotonic=self._clock.monotonic
        )
        names = PeerNames(self._clock)
        self._names = names
        if isinstance(upstream, Address):
            upstream = Upstream(upstream, RelayLimits(commands=self.settings.max_connections))
        self._upstream = upstream
        self._session = Session(
            Services(
                database=self._database,
                plugins=plugins or PluginHost.load(),
                clock=self._clock,
                agents=AgentPool(self.settings.confdir / "aix"),
                hostname=machine.hostname,
                version=VERSION,
                is_mn=is_mn,
                writer=self._writer,
                name_of=names.get,
                environ=dict(machine.environ),
                upstream=upstream,
                guesses=Guesses(self._clock.monotonic),
                settings=self._last_good,
            )
        )
        self._watching = self._watch(watchers, machine, random.SystemRandom().random)
        _log.info("xcatd %s uses the database %s", __version__, place.describe())

    def _watch(
        self,
        watchers: Mapping[str, Watcher] | None,
        machine: Machine,
        jitter: Callable[[], float],
    ) -> Watching | None:
        """Watchers run on management nodes, judged as the daemon itself."""
        if not self._session.services.is_mn:
            return None
        return Watching(
            watching.installed() if watchers is None else watchers,
            self._database,
            self._clock,
            self._session.own_context,
            owner=f"{machine.hostname}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
            jitter=jitter,
        )

    def _define_tables(self) -> None:
        """The administrator's own tables; a file that cannot be used is told of and left out."""
        place = self.settings.confdir / owntables.DIRECTORY
        tables, errors = owntables.load(place, self._database.location.engine)
        for error in errors:
            _log.error("%s", error)
        self._database.define(tables)

    def _insert_audit_rows(self, rows: list[dict[str, str]]) -> None:
        with self._database.transaction("auditlog") as transaction:
            transaction.insert("auditlog", rows)

    def _context(self) -> ssl.SSLContext:
        """As the site table and the certificates want it now; while these cannot be used, as it was last."""
        self.settings = self._current_settings()
        return self._contexts.get(self.settings)

    def _current_settings(self) -> Settings:
        return self._last_good.read(lambda: self._database.read(["site"]).site, DatabaseError)

    def server(
        self,
        sockets: Sequence[socket.socket],
        times: PeerTimes | None = None,
        max_peers: int = _MOST_PEERS,
    ) -> Server:
        """A server on these sockets.

        Commands that wait for an upstream have threads of their own: it cannot hold up the others.
        """
        if self._watching is not None:
            self._watching.start()
        waiting = self._upstream.limits.commands if self._upstream else 0
        return Server(
            sockets,
            handle=self._session,
            context=self._context,
            clock=self._clock,
            commands=WorkerPool(
                "command",
                self.settings.max_connections + waiting,
                _BACKLOG,
                most={Group.ANONYMOUS.name: max(1, self.settings.max_connections // 4)},
            ),
            front=WorkerPool("front", _FRONT_THREADS, _BACKLOG),
            on_accept=self._names.begin,
            times=times,
            shares=Shares.of(max_peers),
        )

    def close(self) -> None:
        """Write what is left and let go of the database."""
        if self._watching is not None and not self._watching.close(_LAST_LOOKS):
            _log.error("some watchers did not come back in time and are cut off")
        if not self._writer.close(_LAST_ROWS):
            _log.error("the last auditlog rows could not be written in time")
        self._names.close()
        self._notifier.close(_LAST_HOOKS)
        self._database.close()


def _serve(server: Server, port: int, launch: process.Launch, pidfile: process.PidFile) -> bool:
    def stop(_number: int, _frame: object) -> None:
        server.stop()

    def hand_over(_number: int, _frame: object) -> None:
        pidfile.release()
        server.stop(bounded=False)

    signal.set_wakeup_fd(server.wake_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGUSR2, hand_over)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    launch.ready(port)
    try:
        return server.run()
    finally:
        signal.set_wakeup_fd(-1)


def _write_pidfile(pidfile: process.PidFile, options: process.DaemonOptions) -> None:
    """Only a pid file that was asked for, or a real daemon's, must be writable."""
    if options.foreground and options.pidfile is None and pidfile.running() is not None:
        _log.info("the default pid file belongs to another running xcatd and is left alone")
        return
    try:
        pidfile.write()
    except OSError as error:
        if options.pidfile is not None or not options.foreground:
            raise
        _log.info("no pid file: %s", error)


def _start(options: process.DaemonOptions, machine: Machine, launch: process.Launch) -> int:
    logs.set_up(foreground=options.foreground, debug="XCATDEBUG" in machine.environ)
    descriptors = process.allow_many_descriptors()
    pidfile = process.PidFile(options.pidfile or process.DEFAULT_PIDFILE)
    try:
        upstream = None if options.upstream is None else Address.parse(options.upstream)
        daemon = Daemon(machine, upstream=upstream)
        if daemon.settings.debug:
            logs.set_up(foreground=options.foreground, debug=True)
        wanted = daemon.settings.port if options.port is None else options.port
        if upstream is not None:
            upstream.check_loop(wanted)
        sockets = process.take_port(lambda: listen(wanted), pidfile)
        _write_pidfile(pidfile, options)
    except (AddressError, DatabaseError, SettingsError, CertificateError) as error:
        launch.failed(str(error))
        return 1
    except files.UnsafeError as error:
        launch.failed(f"no pid file: {error}")
        return 1
    except OSError as error:
        launch.failed(f"cannot start: {error}")
        return 1
    port = sockets[0].getsockname()[1]
    server = daemon.server(sockets, max_peers=min(_MOST_PEERS, descriptors // 2))
    process.calm_garbage_collection()
    is_complete = _serve(server, port, launch, pidfile)
    if not is_complete:
        _log.error("some commands did not end in time and are cut off")
    pidfile.release()
    daemon.close()
    _log.info("xcatd has ended")
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Run the daemon; returns its exit status."""
    try:
        options = process.parse_options(sys.argv[1:] if args is None else args)
    except process.DaemonOptionError as error:
        process.Launch().failed(str(error))
        return 1
    machine = Machine.here()
    if options.foreground:
        return _start(options, machine, process.Launch())
    status = _start(options, machine, process.detach())
    logging.shutdown()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
