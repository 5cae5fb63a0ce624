"""What dumpxCATdb and restorexCATdb have in common: options, which tables are left out, how they speak.

Facts: xCAT's own programs of these names; docs/facts/table-commands.md, dumpxCATdb and restorexCATdb.
"""

from __future__ import annotations

import getopt
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from . import connect, main
from .ask import ask
from .printer import write

#: Tables that begin so are kept by other programs; logs only come along with ``-a``.
_NEVER = ("x_teal", "isnm_perf")
_LOGS = ("eventlog", "auditlog")

_ENGINES = {"sqlite": "SQLITE", "mysql": "MYSQL", "pg": "PG", "db2": "DB2"}


class DumpUsageError(ValueError):
    """The command line cannot be used; the text is for the user."""


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """What both programs know; ``others`` are those of one of them."""

    everything: bool = False
    binary: bool = False
    path: str = ""
    wants_help: bool = False
    wants_version: bool = False
    verbose: bool = False
    others: Mapping[str, str] = field(default_factory=dict)


def parse(words: Sequence[str], binary: str, others: Mapping[str, str]) -> DumpOptions:
    """Read a command line as Perl does; ``binary`` is the long name of ``-b``.

    ``others`` maps short and long names of further options to one name.  Raises :class:`DumpUsageError`.
    """
    names = ["all", binary, "path=", "help", "verbose", "version"]
    names += [name for name in others if len(name.rstrip("=")) > 1]
    letters = "abp:hVv" + "".join(
        name.replace("=", ":") for name in others if len(name.rstrip("=")) == 1
    )
    try:
        found, _ = getopt.getopt(list(words), letters, names)
    except getopt.GetoptError as error:
        raise DumpUsageError(f"Unknown option: {error.opt}") from None
    given = {name.lstrip("-"): text for name, text in found}
    known = {name.rstrip("="): target for name, target in others.items()}
    return DumpOptions(
        everything=_has(given, "a", "all"),
        binary=_has(given, "b", binary),
        path=given.get("p") or given.get("path") or "",
        wants_help=_has(given, "h", "help"),
        wants_version=_has(given, "v", "version"),
        verbose=_has(given, "V", "verbose"),
        others={known[name]: text for name, text in given.items() if name in known},
    )


def _has(given: Collection[str], *names: str) -> bool:
    return any(name in given for name in names)


def say(text: str) -> None:
    """To standard output, at once."""
    write(sys.stdout, f"{text}\n")


def complain(text: str) -> None:
    """To standard error."""
    write(sys.stderr, f"{text}\n")


def is_skipped(table: str, options: DumpOptions, unwanted: Collection[str]) -> bool:
    """Whether a table is not part of a dump."""
    if table.startswith(_LOGS) and not options.everything:
        return True
    return table.startswith(_NEVER) or table in unwanted


def unwanted_tables(environ: Mapping[str, str]) -> frozenset[str]:
    """The tables in ``site.skiptables``."""
    answer = ask("gettab", ("key=skiptables", "site.value"), environ)
    return frozenset(answer.out.strip().split(",")) if not answer.status else frozenset()


def refuse_binary(environ: Mapping[str, str]) -> int:
    """The engines' own backups are not made by us."""
    found = [
        line.partition("=")[2]
        for line in ask("lsxcatd", ("-d",), environ).out.splitlines()
        if line.startswith("dbengine=")
    ]
    engine = found[0] if found else "this database"
    name = _ENGINES.get(engine.lower(), engine)
    advice = "; use pg_dump and pg_restore" if name == "PG" else ""
    complain(f"Binary dump (-b) is not supported for {name}{advice}")
    return 1


def run(
    program: Callable[[Sequence[str], Mapping[str, str]], int], environ: Mapping[str, str]
) -> int:
    """Run a program until its end; a daemon that is not there ends it at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return program(sys.argv[1:], environ)
    except connect.ConnectError as error:
        return main.say_no_connection(error, environ) or 1
    except connect.ScopeError as error:
        complain(str(error))
        return 1
