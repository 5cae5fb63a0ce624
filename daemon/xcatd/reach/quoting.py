"""The one place where words become a line for a shell: ssh carries nothing else to its other end.  Pure."""

from __future__ import annotations

from collections.abc import Sequence


def quoted(words: Sequence[str]) -> str:
    """A line that a shell of the Bourne family (sh, ksh, bash) reads as exactly these words.

    Raises ValueError for what no shell can be told: no words, or the character NUL.
    """
    if not words:
        raise ValueError("there is no command to run")
    if any("\0" in word for word in words):
        raise ValueError("a word of a command cannot hold the character NUL")
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
