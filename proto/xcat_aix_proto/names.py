"""Rules for names that cross the wire.  Nothing is executed or opened before it passed here."""

from __future__ import annotations

import re
from typing import Tuple

from . import bounds
from .errors import AgentError, ErrorCode

# NIM: letters, digits, '_', '.', '-'; at most 39 characters (docs/facts/nim.md, Commands, exit codes and messages).
_NIM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,38}\Z")
# RFC 1123 host names, plus the '_' that xCAT allows in node names.
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\Z")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
# A postscript is a file of the postscripts directory itself; its words may reach a shell in the script, so
# they hold nothing that a shell takes for more than text.
_SCRIPT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}\Z")
_SCRIPT_WORD = re.compile(r"[A-Za-z0-9_.,:=/@%+-]{1,255}\Z")
# RFC 3720, section 3.2.6.1, and IBM's eight-byte LUN ids in hexadecimal digits.
_DUMP_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,222}\Z")
_LUN = re.compile(r"(0[xX])?[0-9A-Fa-f]{1,16}\Z")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TRACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}\Z")

#: Words of one postscript, its name included.
_MAX_WORDS = 32


def _checked(pattern: re.Pattern[str], what: str, value: object) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise AgentError(ErrorCode.BAD_NAME, f"{_shown(value)} is not a valid {what}")
    return value


def _shown(value: object) -> str:
    return bounds.cut(repr(value), 80)


def nim_name(value: object) -> str:
    """``value`` if it is a valid NIM object name; else :class:`AgentError` ``BAD_NAME``."""
    return _checked(_NIM_NAME, "NIM object name", value)


def host_name(value: object) -> str:
    """``value`` if it is a valid host or node name; else :class:`AgentError` ``BAD_NAME``."""
    return _checked(_HOST_NAME, "host name", value)


def job_id(value: object) -> str:
    """``value`` if it can name a job (and its directory); else ``BAD_NAME``."""
    return _checked(_JOB_ID, "job id", value)


def dump_target(value: object) -> str:
    """``value`` if it can name an iSCSI target; else ``BAD_NAME``."""
    return _checked(_DUMP_TARGET, "dump target", value)


def lun_id(value: object) -> str:
    """``value`` if it can be a LUN id; else ``BAD_NAME``."""
    return _checked(_LUN, "LUN id", value)


def label(value: object) -> str:
    """``value`` if it can be the kind or the name of what agents give each other; else ``BAD_NAME``."""
    return _checked(_LABEL, "kind or name (letters, digits and _.- only)", value)


def digest(value: object) -> str:
    """``value`` if it is a SHA-256 digest in small hexadecimal digits; else ``BAD_NAME``."""
    return _checked(_DIGEST, "SHA-256 digest", value)


def trace(value: object) -> str:
    """``value`` if it can name the request that a call belongs to; else ``BAD_NAME``."""
    return _checked(_TRACE, "trace id", value)


def script(value: object) -> Tuple[str, ...]:
    """The words of one entry of the postscripts table: a file name and arguments; else ``BAD_NAME``.

    The name is that of a file in the postscripts directory, without a slash; arguments hold letters,
    digits and ``_ . , : = / @ % + -``.
    """
    words = value.split(" ") if isinstance(value, str) else []
    words = [word for word in words if word]
    if not 0 < len(words) <= _MAX_WORDS:
        text = f"{_shown(value)} is not a postscript with at most {_MAX_WORDS - 1} arguments"
        raise AgentError(ErrorCode.BAD_NAME, text)
    _checked(_SCRIPT, "postscript name (a file name without a slash)", words[0])
    for word in words[1:]:
        what = f"argument of the postscript {words[0]} (letters, digits and _.,:=/@%+- only)"
        _checked(_SCRIPT_WORD, what, word)
    return tuple(words)
