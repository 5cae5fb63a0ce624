"""Rules for names that cross the wire.  Nothing is executed or opened before it passed here."""

from __future__ import annotations

import re

from .errors import AgentError, ErrorCode

# NIM: letters, digits, '_', '.', '-'; at most 39 characters (specs/nim-facts.md, section 1).
_NIM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,38}\Z")
# RFC 1123 host names, plus the '_' that xCAT allows in node names.
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\Z")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
# A postscript is a file in the postscripts directory, perhaps with sub-directory and arguments.
_SCRIPT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,254}\Z")


def _checked(pattern: re.Pattern[str], what: str, value: object) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise AgentError(ErrorCode.BAD_NAME, f"{value!r} is not a valid {what}")
    return value


def nim_name(value: object) -> str:
    """``value`` if it is a valid NIM object name; else :class:`AgentError` ``BAD_NAME``."""
    return _checked(_NIM_NAME, "NIM object name", value)


def host_name(value: object) -> str:
    """``value`` if it is a valid host or node name; else :class:`AgentError` ``BAD_NAME``."""
    return _checked(_HOST_NAME, "host name", value)


def job_id(value: object) -> str:
    """``value`` if it can name a job (and its directory); else ``BAD_NAME``."""
    return _checked(_JOB_ID, "job id", value)


def script_name(value: object) -> str:
    """``value`` if it can name a postscript below the postscripts directory; else ``BAD_NAME``."""
    name = _checked(_SCRIPT, "postscript name", value)
    if ".." in name.split("/"):
        raise AgentError(ErrorCode.BAD_NAME, f"{value!r} is not a valid postscript name")
    return name
