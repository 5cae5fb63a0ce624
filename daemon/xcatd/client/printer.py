"""What a response looks like on the terminal, and what it does to the exit status.

Owns: the printing rules of existing clients, word for word, and the progress line on a terminal.  Must not:
read or write sockets.  Facts: docs/facts/wire.md, Reply elements and printing; Exit status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, TextIO

from xcatd.text.visible import UNSAFE
from xcatd.wire.tree import Tree, Value

_CLEAR_LINE = "\r\x1b[K"


def _text(values: Sequence[Value]) -> str:
    """The first of a list as text; a nested element has none."""
    return _plain(values[0]) if values else ""


def _plain(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _says(text: str) -> bool:
    """Truth as Perl sees a string."""
    return text not in {"", "0"}


def _code(value: Value) -> int:
    match = re.match(r"\s*([+-]?\d+)", value if isinstance(value, str) else "")
    return int(match.group(1)) if match else 0


def encode(text: str) -> bytes:
    """One byte per character up to 255 as Perl prints; beyond that UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def harmless(text: str) -> str:
    """The text as a terminal may get it: ``?`` for every character that is more than shown.

    What goes into a pipe or a file stays as it came.
    """
    return text if text.isascii() and text.isprintable() else UNSAFE.sub("?", text)


def write(stream: TextIO, text: str) -> None:
    """What the server said, for a program that prints it itself."""
    stream.write(harmless(text) if stream.isatty() else text)
    stream.flush()


class Printer:
    """Prints responses one after the other and keeps the exit status.

    What the server says never commands a terminal: it comes from nodes and from tables.
    """

    def __init__(
        self,
        out: BinaryIO,
        err: BinaryIO,
        *,
        shows_server: bool = False,
        is_terminal: bool = False,
        errors_on_terminal: bool = False,
    ) -> None:
        self._out = out
        self._err = err
        self._errors_on_terminal = errors_on_terminal
        self._shows_server = shows_server
        self._is_terminal = is_terminal
        self._has_progress = False
        self.status = 0

    def show(self, response: Tree) -> None:
        """Print one response in the fixed order error, warning, info, sinfo, node, data."""
        source = _text(response.get("xcatdsource", ()))
        shown = self._is_shown(response, source)
        for code in response.get("errorcode", ()):
            self.status |= _code(code)
        self._failures(response, source, "error", "Error: ", "NoErrorPrefix")
        self._failures(response, source, "warning", "Warning: ", "NoWarnPrefix")
        self._say(
            shown + text if _says(text) else text for text in map(_plain, response.get("info", ()))
        )
        for item in response.get("sinfo", ()):
            self._progress(_plain(item))
        self._nodes(response, source, shown)
        texts = map(_data_text, response.get("data", ()))
        self._say(shown + text for text in texts if _says(text))

    def _is_shown(self, response: Tree, source: str) -> str:
        """The prefix of informational lines."""
        wanted = "host" in response or (self._shows_server and "NoSvrPrefix" not in response)
        return f"[{source}]: " if wanted and _says(source) else ""

    def _failures(self, response: Tree, source: str, name: str, word: str, flag: str) -> None:
        word = "" if flag in response else word
        for item in response.get(name, ()):
            text = _plain(item)
            where = f"[{source}]: " if _says(source) and _says(text) else ""
            self._complain(f"{word}{where}{text}")

    def _nodes(self, response: Tree, source: str, shown: str) -> None:
        is_failing = False  # for the rest of the document
        lines: list[str] = []
        for node in response.get("node", ()):
            if not isinstance(node, dict):
                continue
            for code in node.get("errorcode", ()):
                self.status |= _code(code)
            is_failing = is_failing or "error" in node or "warning" in node
            line = _node_line(node, source, shown)
            if _says(line) and line != f"[{source}]":
                if is_failing:
                    self._say(lines)
                    lines = []
                    self._complain(line)
                else:
                    lines.append(line)
        self._say(lines)

    def _say(self, lines: Iterable[str]) -> None:
        """Many lines at once are the usual case."""
        if ended := [line + "\n" for line in lines]:
            self.clear_progress()
            text = "".join(ended)
            self._out.write(encode(harmless(text) if self._is_terminal else text))

    def _complain(self, line: str) -> None:
        self.clear_progress()
        self._out.flush()
        self._err.write(encode((harmless(line) if self._errors_on_terminal else line) + "\n"))
        self._err.flush()

    def _progress(self, text: str) -> None:
        if self._is_terminal:
            self._has_progress = True
            self._out.write(encode(_CLEAR_LINE + harmless(text).replace("\n", " ")))
        else:
            self._out.write(encode(text + "\r"))

    def clear_progress(self) -> None:
        """Take the progress line away."""
        if self._has_progress:
            self._has_progress = False
            self._out.write(_CLEAR_LINE.encode())

    def flush(self) -> None:
        """Let it be seen."""
        self._out.flush()


def _node_line(node: Tree, source: str, shown: str) -> str:
    line = _text(node.get("name", ()))
    for name, word in (("error", "Error"), ("warning", "Warning")):
        if name in node:
            line = f"{_named(line, source)}: {word}: {_text(node[name])}"
    if "data" in node:
        line = "".join([_named(line, source if shown else ""), *_node_data(node["data"])])
    if "base64_data" in node:
        line += ": " + _decoded(_text(node["base64_data"]))
    return line


def _named(line: str, source: str) -> str:
    if not _says(source):
        return line
    return f"{line}: [{source}]" if _says(line) else f"[{source}]"


def _node_data(values: Sequence[Value]) -> Iterator[str]:
    value = values[0]
    if not isinstance(value, dict):
        yield f": {value or ''}"
        return
    for name in ("desc", "contents"):
        if name in value:
            yield f": {_text(value[name])}"


def _data_text(value: Value) -> str:
    if not isinstance(value, dict):
        return value or ""
    desc = _text(value.get("desc", ()))
    if "contents" not in value:
        return desc
    contents = _text(value["contents"])
    return f"{desc}: {contents}" if _says(desc) else contents


def _decoded(text: str) -> str:
    import base64  # noqa: PLC0415 - rarely needed, and start-up time is

    try:
        return base64.b64decode(text).decode("latin-1")
    except ValueError:
        return ""
