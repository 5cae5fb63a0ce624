"""The clients of this directory without a wire: what they ask is answered by the plugins."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from xcat_aix.commands.tables.tabdump import Tabdump
from xcat_aix.commands.tables.tabrestore import Tabrestore
from xcatd.api import Context, Reply, Request
from xcatd.client import dumpdb, dumping, restoredb, tablefile, tabrestore
from xcatd.client.ask import DaemonAnswer, Keeper
from xcatd.wire.replies import encode
from xcatd.wire.tree import DocumentLimits, parse

PLUGINS = {"tabdump": Tabdump, "tabrestore": Tabrestore}


class Talk:
    """Runs the programs of this directory against one database."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.environ: dict[str, str] = {}
        self.skipped = ""
        self.engine = "SQLite"
        self.written: list[str] = []  # files the daemon was asked to write

    def ask(
        self,
        command: str,
        args: Sequence[str],
        environ: Mapping[str, str],
        more: Mapping[str, Sequence[str]] | None = None,
        _line: object = None,
        *,
        keep: str = "",
    ) -> DaemonAnswer:
        """In place of :func:`xcatd.client.ask.ask`."""
        if command == "gettab":
            return DaemonAnswer(0, f"{self.skipped}\n" if self.skipped else "", "")
        if command == "lsxcatd":
            return DaemonAnswer(0, f"dbengine={self.engine}\n", "")
        self.written += [arg for arg in args if arg.startswith("-f")]
        extra = {
            name: tuple(t if t.strip() else None for t in texts)
            for name, texts in (more or {}).items()
        }
        request = Request(command, tuple(args), cwd="/", extra=extra)
        out, err = io.BytesIO(), io.BytesIO()
        printer = Keeper(out, err, keep)
        for reply in PLUGINS[command]().handle(request, self.context):
            printer.show(_tree(reply))
        return DaemonAnswer(
            printer.status & 0xFF,
            out.getvalue().decode("latin-1"),
            err.getvalue().decode("latin-1"),
            tuple(printer.kept),
        )

    def dump(self, *words: str) -> int:
        """``dumpxCATdb``."""
        return dumpdb._run(words, self.environ)

    def restore(self, *words: str) -> int:
        """``restorexCATdb``."""
        return restoredb._run(words, self.environ)

    def tabrestore(self, *words: str) -> int:
        """``tabrestore``."""
        return tabrestore._run(words, self.environ)

    def connect(self, monkeypatch) -> None:
        """Take the wire away."""
        for module in (dumpdb, dumping, tablefile, tabrestore):
            monkeypatch.setattr(module, "ask", self.ask)


def _tree(reply: Reply):
    return parse(encode(reply, "mn"), "xcatresponse", DocumentLimits())
