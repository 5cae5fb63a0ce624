"""Which files may be called as hooks: they run with the daemon's rights, so only who has these may have written them.

Owns the rule for what a row of ``notification`` may name, and what a hook finds in its environment.
Must not: run anything.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

from xcatd import files

#: Ends the name of a hook that is a Perl module.
MODULE_SUFFIX = ".pm"

#: Where xCAT is installed unless XCATROOT says otherwise.
DEFAULT_ROOT = "/opt/xcat"

#: One path and nothing else: no word, quote or sign that a shell (xCAT's own daemon uses one) would see.
_PATH = re.compile(r"(?:/[A-Za-z0-9_.+@%,:=-]+)+")

#: A module that lies where xCAT looks for them.
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.pm")

_LONGEST = 1024

#: What a hook may know of the daemon's own environment, beside what is made for it.
_PASSED_ON = ("XCATCFG",)


class BadHookError(ValueError):
    """This cannot be a hook; one line for people."""


def path_of(filename: str, root: str) -> Path:
    """The file a row names; ``root`` is where xCAT is installed.  Raises :class:`BadHookError`."""
    if _MODULE.fullmatch(filename):
        return Path(root, "lib/perl/xCAT_monitoring", filename)
    if len(filename) > _LONGEST or not _PATH.fullmatch(filename):
        raise BadHookError(
            f"cannot use {filename[:100]!r} as a notification hook: it must be one absolute path of letters, "
            "digits and _ . + @ % , : = -, without arguments; write a script that adds them"
        )
    path = Path(filename)
    if ".." in path.parts:
        raise BadHookError(
            f"cannot use {filename!r} as a notification hook: '..' may not be in its path"
        )
    if is_module(filename) and not _MODULE.fullmatch(path.name):
        raise BadHookError(
            f"cannot use {filename!r} as a notification hook: {path.name!r} cannot be a Perl module"
        )
    return path


def is_module(filename: str) -> bool:
    """Whether a row names a Perl module."""
    return filename.endswith(MODULE_SUFFIX)


def check(path: Path) -> None:
    """Raises :class:`xcatd.files.UnsafeError` for a file that others could change, OSError where there is none.

    Every directory and link on the way is root's or ours.  So nobody else can put another file there between
    this look and the call, which goes by name: a script is to see its own path.
    """
    with files.opened(path):
        pass


def check_registered(filename: str, root: str) -> None:
    """What may be registered: a file that is not there yet passes if nobody else can make it.

    Raises :class:`BadHookError`.
    """
    path = path_of(filename, root)
    try:
        check(path)
    except FileNotFoundError:
        return
    except OSError as error:
        why = str(error) if isinstance(error, files.UnsafeError) else f"{path}: {error.strerror}"
        raise BadHookError(f"cannot use {filename!r} as a notification hook: {why}") from None


def root_of(environ: Mapping[str, str]) -> str:
    """Where xCAT is installed."""
    return environ.get("XCATROOT") or DEFAULT_ROOT


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """All that a hook finds in its environment; ``environ`` is the daemon's."""
    root = root_of(environ)
    made = {
        "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{root}/sbin:{root}/bin",
        "LC_ALL": "C",
        "HOME": _home(),
        "XCATROOT": root,
    }
    return made | {name: environ[name] for name in _PASSED_ON if name in environ}


def _home() -> str:
    """Where xCAT's commands find the certificates of the user we are."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"
