"""A node's files: below a real directory, or in memory.  Paths are those of the simulated host."""

from __future__ import annotations

import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Files(Protocol):
        """Whole small text files; a missing file reads as None and is removed without complaint."""

        def read(self, path: str) -> str | None:
            """The text, or None."""

        def write(self, path: str, text: str) -> None:
            """Replace the whole file, making its directories."""

        def remove(self, path: str) -> None:
            """Take a file away."""

        def remove_below(self, directory: str) -> None:
            """Take everything below a directory away."""

        def has_below(self, directory: str) -> bool:
            """Tell whether there is any file below a directory."""


class MemoryFiles:
    """Files as a dictionary."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def read(self, path: str) -> str | None:
        """The text, or None."""
        return self.texts.get(path)

    def write(self, path: str, text: str) -> None:
        """Replace the whole file."""
        self.texts[path] = text

    def remove(self, path: str) -> None:
        """Take a file away."""
        self.texts.pop(path, None)

    def remove_below(self, directory: str) -> None:
        """Take everything below a directory away."""
        for path in [path for path in self.texts if path.startswith(directory + "/")]:
            del self.texts[path]

    def has_below(self, directory: str) -> bool:
        """Tell whether there is any file below a directory."""
        return any(path.startswith(directory + "/") for path in self.texts)


class DirectoryFiles:
    """Files below a real directory that stands for ``/``."""

    def __init__(self, root: str) -> None:
        self._root = root

    def _real(self, path: str) -> str:
        return self._root + os.path.normpath("/" + path)

    def read(self, path: str) -> str | None:
        """The text, or None."""
        try:
            with open(self._real(path), encoding="utf-8") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, text: str) -> None:
        """Replace the whole file in one step."""
        replace(self._real(path), text)

    def remove(self, path: str) -> None:
        """Take a file away."""
        try:
            os.unlink(self._real(path))
        except FileNotFoundError:
            return

    def remove_below(self, directory: str) -> None:
        """Take everything below a directory, and the directory, away."""
        for base, directories, names in os.walk(self._real(directory), topdown=False):
            for name in names:
                os.unlink(os.path.join(base, name))
            for name in directories:
                os.rmdir(os.path.join(base, name))

    def has_below(self, directory: str) -> bool:
        """Tell whether there is any file below a directory."""
        return any(names for _, _, names in os.walk(self._real(directory)))


def replace(path: str, text: str) -> os.stat_result:
    """Write a file so that a reader sees the old text or the new one, never a part.

    Returns the new file's state.
    """
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.new"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        state = os.fstat(file.fileno())
    os.replace(temporary, path)
    return state
