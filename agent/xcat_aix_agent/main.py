"""The command ``xcat-aix-agent``: ``serve``, ``jobs``, ``selfcheck``.

Owns: options, logging and signals of the program.  Must not: do the work.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Any, List, Optional, Sequence, TextIO

from xcat_aix_proto import bounds
from xcat_aix_proto.errors import AgentError

from . import __version__, log, shell, tls
from . import config as settings
from .clock import SystemClock
from .config import AgentConfig, ConfigError
from .jobs.runners import Detached
from .jobs.store import JobStore, StoreLimits
from .ownership import OwnershipError
from .serving import rights

_log = logging.getLogger(__name__)

#: Seconds between two looks: after jobs that nobody asks about, and for a signal, which may arrive in
#: another thread and then does not wake this one.
_TICK = 0.5


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the answer is the exit code: 0, or 1 with one line on standard error."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(settings.load(options.config), options)
    except (ConfigError, OwnershipError, tls.TlsError, AgentError, OSError) as error:
        sys.stderr.write(f"xcat-aix-agent: {error}\n")
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xcat-aix-agent", description="The xcat-aix agent.")
    parser.add_argument("-v", "--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("serve", _serve, "listen and serve management nodes until SIGTERM"),
        ("jobs", _jobs, "list the jobs this agent keeps"),
        ("selfcheck", _selfcheck, "tell which assumptions about this host hold, changing nothing"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument(
            "--config", type=Path, default=settings.DEFAULT_FILE, metavar="FILE", help="settings"
        )
        if run is _selfcheck:
            command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _serve(config: AgentConfig, _options: argparse.Namespace) -> int:
    shell.make_private()
    log.set_up(config.log)
    from xcat_aix_agent.serving.server import AgentServer  # noqa: PLC0415 - Pyro5 is loaded by the agent itself only

    own = tls.own_identity(config)
    if own != config.identity:
        text = f"cannot use {config.certificate}: it is for {own}, this agent is {config.identity}"
        raise tls.TlsError(text)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = AgentServer(config)
    server.start()
    places = " ".join(f"{address}:{port}" for address, port in server.addresses)
    _log.info("%s %s listens at %s", config.identity, __version__, places)
    _warn_of_policy(config)
    _say(sys.stdout, f"xcat-aix-agent: ready at {places}")
    # Not for ever at once: the system may hand a signal to another thread, and then only a main thread
    # that runs now and then gets to its handler.
    while not ended.wait(_TICK):
        server.tick()
    _log.info("stopping; running jobs go on by themselves")
    server.stop()
    return 0


def _warn_of_policy(config: AgentConfig) -> None:
    """Without a policy the agent serves nobody, and says so; it need not be started again for one."""
    try:
        if rights.load(config.policy):
            return
        reason = f"{config.policy} names no management node"
    except rights.PolicyError as error:
        reason = str(error)
    text = (
        f"{reason}; nobody is served until it has a section [xcat-aix:mn:NAME] with allow = operate"
    )
    _say(sys.stderr, f"xcat-aix-agent: {text}")
    _log.warning("%s", text)


def _jobs(config: AgentConfig, _options: argparse.Namespace) -> int:
    if not config.jobs.is_dir():
        return 0
    clock = SystemClock()
    store = JobStore(config.jobs, Detached(clock, config), clock, StoreLimits.of(config))
    store.check_owner()
    troubles = store.troubles()
    for trouble in troubles:
        _say(sys.stderr, bounds.line(f"xcat-aix-agent: {trouble}"))
    for status in store.all():
        words: List[Any] = [status.job_id, status.kind, status.state.value]
        failure = status.outcome.failure() if status.outcome else None
        if status.outcome is not None:
            words.append(f"failed: {failure.message}" if failure else "ok")
        _say(sys.stdout, bounds.line("  ".join(map(str, words))))
    return 1 if troubles else 0


def _selfcheck(config: AgentConfig, options: argparse.Namespace) -> int:
    from . import selfcheck  # noqa: PLC0415 - only this command needs it

    return selfcheck.main(config, as_json=options.json, output=sys.stdout)


def _say(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
