"""NIM's message numbers and the layout of its errors.

Facts: docs/facts/nim.md, Commands, exit codes and messages; Message numbers.
"""

from __future__ import annotations

# Seen in public material.
REQUIRED = 21
NOT_UNIQUE = 32
HAS_ALLOCATIONS = 52
NOT_FOUND = 53
IN_USE = 61
EXISTS_AT = 81
UNEXPECTED = 175

# Not confirmed by any source: all in one place, easy to correct on a real machine.
CONNECT = 6
REFUSED_BY_CLIENT = 8
NOT_AUTHORISED = 11
NOT_MASTER = 12
BUSY = 13
BAD_ATTRIBUTE = 22
BAD_VALUE = 23
BAD_NAME = 24
BAD_OPERATION = 25
WRONG_STATE = 46
NOT_CONFIGURED = 47
ALREADY_ALLOCATED = 58
ALREADY_CONFIGURED = 84
USAGE = 14

_WIDTH = 66
_CONTINUED = " " * 8


class CommandError(Exception):
    """A command that failed: exit code, standard error, and what it had printed before."""

    def __init__(self, rc: int, stderr: str, stdout: str = "") -> None:
        super().__init__(stderr)
        self.rc = rc
        self.stderr = stderr
        self.stdout = stdout


class NimError(Exception):
    """A NIM message: ``number`` is also the exit code, ``method`` the part of NIM that says it."""

    def __init__(self, number: int, method: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.method = method
        self.text = text

    def line(self) -> str:
        """The message on one line, as ``lsnim`` prints it."""
        return f"0042-{self.number:03d} {self.method}: {self.text}\n"

    def nested(self, command: str, where: str) -> str:
        """The message inside the outer line that ``nim``, ``niminit`` and ``nimclient`` print."""
        outer = f'0042-001 {command}: processing error encountered on "{where}":\n'
        return outer + _wrapped("   " + self.line().rstrip("\n"))


def exit_code(number: int) -> int:
    """The exit code that a shell sees of message ``number``: modulo 256, never 0."""
    return number & 0xFF or 1


def no_object(method: str, name: str) -> NimError:
    """The answer to an unknown object name."""
    return NimError(NOT_FOUND, method, f'there is no NIM object named "{name}"')


def _wrapped(text: str) -> str:
    indent = text[: len(text) - len(text.lstrip())]
    lines = [indent]
    for word in text.split():
        glue = "" if lines[-1].strip() == "" else " "
        if glue and len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(_CONTINUED + word)
        else:
            lines[-1] += glue + word
    return "\n".join(lines) + "\n"
