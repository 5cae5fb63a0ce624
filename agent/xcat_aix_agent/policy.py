"""Which management node may do what on this host.

An INI file with a section per identity::

    [xcat-aix:mn:mn1]
    allow = operate

``allow`` is ``read``, ``operate`` or ``admin``, each including the ones before.  Several management nodes
can be named.  Owns: reading it again whenever it changed.  A file that cannot be used allows nobody.
"""

from __future__ import annotations

import configparser
import logging
import threading
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.operations import Right

_log = logging.getLogger(__name__)

_RIGHTS = {"read": Right.READ, "operate": Right.OPERATE, "admin": Right.ADMIN}


class PolicyError(Exception):
    """The policy cannot be used; the message names the file and what is wrong."""


class Policy:
    """The rights in a file, as new as the file.  Safe for use by several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: Optional[Tuple[int, int, int]] = None
        self._rights: Mapping[Identity, Right] = {}

    def right_of(self, identity: Identity) -> Optional[Right]:
        """What ``identity`` may do, None if it is not named."""
        with self._lock:
            stamp = self._current()
            if stamp != self._stamp:
                self._rights = self._read()
                self._stamp = stamp
            return self._rights.get(identity)

    def _current(self) -> Tuple[int, int, int]:
        try:
            state = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (state.st_mtime_ns, state.st_size, state.st_ino)

    def _read(self) -> Mapping[Identity, Right]:
        try:
            return load(self._path)
        except PolicyError as error:
            _log.error("nobody is allowed anything: %s", error)
            return {}


def load(path: Path) -> Mapping[Identity, Right]:
    """The rights in ``path``; raises :class:`PolicyError`."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PolicyError(f"cannot read {path}: {reason}") from None
    except configparser.Error as error:
        raise PolicyError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    rights: Dict[Identity, Right] = {}
    for section in parser.sections():
        rights[_identity(section, path)] = _right(dict(parser.items(section)), section, path)
    return rights


def _identity(section: str, path: Path) -> Identity:
    try:
        identity = Identity.parse(section)
    except AgentError as error:
        raise PolicyError(f"cannot use {path}: [{section}]: {error.message}") from None
    if identity.role is not Role.MN:
        raise PolicyError(f"cannot use {path}: [{section}]: only management nodes have rights")
    return identity


def _right(values: Mapping[str, str], section: str, path: Path) -> Right:
    if set(values) != {"allow"} or values["allow"] not in _RIGHTS:
        text = f"cannot use {path}: [{section}] must say allow = read, operate or admin"
        raise PolicyError(text)
    return _RIGHTS[values["allow"]]
