"""``tabdump -f``: the daemon sends what is in a table, and the file is written here, with the user's own rights.

The daemon writes such files as root for clients that cannot; what a user may write is the system's to say.
Facts: docs/facts/table-commands.md, tabdump.
"""

from __future__ import annotations

import base64
import getopt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from xcatd.rows import dumpfile

from . import connect, main
from .ask import DaemonAnswer, ask

_LETTERS, _WORDS = "h?vdn:f:w:", ("help", "version", "lines=", "extra-columns")


class FileRequest(NamedTuple):
    """A command line that asks for a file: the table, the arguments without the file, the file."""

    table: str
    args: tuple[str, ...]
    file: str


def read(args: Sequence[str]) -> FileRequest | None:
    """What a command line of tabdump asks for; None where the daemon is to answer it as it is."""
    try:
        found, operands = getopt.getopt(list(args), _LETTERS, _WORDS)
    except getopt.GetoptError:
        return None
    files = [text for name, text in found if name == "-f"]
    others = [(name, text) for name, text in found if name != "-f"]
    if not files or len(operands) != 1 or {name for name, _ in others} - {"-w", "--extra-columns"}:
        return None
    options = [word for name, text in others for word in (name, *filter(None, (text,)))]
    return FileRequest(operands[0], (*options, *operands), files[-1])


def run(args: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Carry out a command line; its exit status, None where it is the daemon's to carry out."""
    wish = read(args)
    if wish is None:
        return None
    try:
        answer = fetch(wish.args, environ)
    except connect.ScopeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except connect.ConnectError as error:
        return main.say_no_connection(error, environ)
    if not answer.status and not answer.kept:
        return None
    sys.stdout.write(answer.out)
    sys.stderr.write(answer.err)
    return answer.status or _store(wish, answer)


def _store(wish: FileRequest, answer: DaemonAnswer) -> int:
    refused = store(wish.table, wish.file, answer)
    if refused:
        sys.stderr.write(f"Error: {refused}\n")
    return 1 if refused else 0


def fetch(args: Sequence[str], environ: Mapping[str, str]) -> DaemonAnswer:
    """Ask for the bytes of a table's file, which are ``kept`` of the answer; raises what :func:`.ask.ask` raises."""
    return ask("tabdump", args, environ, {dumpfile.EXACT: ["yes"]}, keep=dumpfile.EXACT)


def store(table: str, file: str, answer: DaemonAnswer) -> str:
    """Write what was fetched; what to tell where that fails, else nothing."""
    try:
        content = b"".join(map(base64.b64decode, answer.kept))
        dumpfile.write(Path(file), content)
    except (OSError, ValueError) as error:
        return dumpfile.refusal(table, file, error)
    return ""
