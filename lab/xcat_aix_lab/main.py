"""``xcat-aix-lab``: an AIX cluster on one machine.

Owns the command line; what it does is in :mod:`lab` and :mod:`demo`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from xcat_aix_lab import __version__, breakage, certificates
from xcat_aix_lab.agents import script_directory
from xcat_aix_lab.claims import NoFreeRange
from xcat_aix_lab.directory import Size
from xcat_aix_lab.lab import Lab, LabError
from xcat_aix_lab.launcher import NotReady
from xcatd.db.errors import DatabaseError

_DEFAULT = Path("xcat-aix-lab")

#: Names the lab's directory where --dir does not; ``up`` prints it.
VARIABLE = "XCAT_AIX_LAB"

_SIZE = Size()
#: More agents than these of somebody's own cluster are hosted by one process.
_MOST_PROCESSES = 50


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(args)
    try:
        status: int = options.run(options)
    except (LabError, NotReady, NoFreeRange, DatabaseError) as error:
        sys.stderr.write(f"xcat-aix-lab: {error}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xcat-aix-lab", description="An AIX cluster with a simulated NIM, on one machine."
    )
    parser.add_argument("--version", action="version", version=f"xcat-aix-lab {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    up = _command(commands, "up", _up, "make the lab if it is not there, and start it")
    up.add_argument("--nodes", type=int, default=_SIZE.compute_nodes, help="compute nodes (12)")
    up.add_argument("--service-nodes", type=int, default=_SIZE.service_nodes, help="2 or more (2)")
    up.add_argument(
        "--diskful", type=int, default=_SIZE.diskful_percent, metavar="PERCENT", help="(50)"
    )
    up.add_argument(
        "--from-dump", type=Path, metavar="DIR", help="of the cluster that dumpxCATdb dumped there"
    )
    up.add_argument(
        "--hosts",
        type=Path,
        metavar="FILE",
        help="addresses that the dump does not have (/etc/hosts)",
    )
    up.add_argument("--in-process", action="store_true", help="all agents in one process")
    up.add_argument(
        "--client-certs", action="store_true", help="also put certificates into ~/.xcat"
    )
    _command(commands, "status", _status, "who serves whom, and what runs")
    execute = _command(commands, "exec", _exec, "run a command on a node")
    execute.add_argument("node")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    for name, run, text in (
        ("kill", _kill, "a node dies"),
        ("start", _start, "a node comes back"),
    ):
        _command(commands, name, run, text).add_argument("node")
    boot = _command(commands, "boot", _boot, "network-boot diskless nodes from their xcatmaster")
    boot.add_argument("node", nargs="+")
    fault = _command(commands, "fault", _fault, "break or mend a node", epilog=breakage.USAGE)
    fault.add_argument("node")
    fault.add_argument("words", nargs=argparse.REMAINDER, metavar="FAULT")
    down = _command(commands, "down", _down, "end all processes of the lab")
    down.add_argument("--remove", action="store_true", help="take the directory away, too")
    demo = _command(commands, "demo", _demo, "show a takeover from nothing to the end")
    demo.set_defaults(dir=None)
    demo.add_argument("--keep", action="store_true", help="leave the lab as it is at the end")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: object,
    text: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(os.environ.get(VARIABLE) or _DEFAULT),
        help=f"the lab's directory (%(default)s; {VARIABLE} changes the default)",
    )
    parser.set_defaults(run=run)
    return parser


def _up(options: argparse.Namespace) -> int:
    lab = Lab(options.dir)
    try:
        in_process = _make(lab, options)
    except ValueError as error:
        raise LabError(str(error)) from None
    lab.up(in_process=in_process)
    if options.client_certs and not certificates.install_for_client(
        lab.directory.client, Path.home()
    ):
        sys.stderr.write("~/.xcat has client certificates already: they are left alone\n")
    names = {VARIABLE: str(options.dir.resolve()), **lab.environment()}
    for name, value in names.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.write(f'export PATH={shlex.quote(script_directory())}:"$PATH"\n')
    return 0


def _make(lab: Lab, options: argparse.Namespace) -> bool:
    """Make the lab if it is not there; tells whether one process is to host all agents."""
    if options.from_dump is None:
        lab.make(Size(options.nodes, options.service_nodes, options.diskful))
    else:
        summary = lab.make_from(options.from_dump, options.hosts)
        sys.stderr.writelines(f"{line}\n" for line in summary.lines)
    agents = len(lab.directory.cluster.with_agent)
    if options.in_process or not lab.directory.is_from_dump or agents <= _MOST_PROCESSES:
        return bool(options.in_process)
    sys.stderr.write(f"one process hosts all {agents} agents\n")
    return True


def _status(options: argparse.Namespace) -> int:
    sys.stdout.write(Lab.existing(options.dir).status())
    return 0


def _exec(options: argparse.Namespace) -> int:
    if not options.argv:
        raise LabError("a command to run is missing: xcat-aix-lab exec NODE COMMAND")
    return Lab.existing(options.dir).execute(options.node, options.argv)


def _kill(options: argparse.Namespace) -> int:
    Lab.existing(options.dir).kill(options.node)
    return 0


def _start(options: argparse.Namespace) -> int:
    Lab.existing(options.dir).start(options.node)
    return 0


def _boot(options: argparse.Namespace) -> int:
    lab = Lab.existing(options.dir)
    for node in options.node:
        lab.boot(node)
    return 0


def _fault(options: argparse.Namespace) -> int:
    sys.stdout.write(Lab.existing(options.dir).fault(options.node, options.words))
    return 0


def _down(options: argparse.Namespace) -> int:
    lab = Lab.existing(options.dir)
    ended = lab.down()
    sys.stdout.write(f"ended: {', '.join(ended) or 'nothing was running'}\n")
    if options.remove:
        lab.remove()
    return 0


def _demo(options: argparse.Namespace) -> int:
    from xcat_aix_lab.demo import run_demo  # noqa: PLC0415 - only this command needs it

    return run_demo(options.dir, keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
