"""The rights that management nodes have on this host: a fact that the policy weighs.

An INI file with a section per identity::

    [xcat-aix:mn:mn1]
    allow = operate

``allow`` is ``read``, ``operate`` or ``admin``, each including the ones before.  Several management nodes
can be named.  Owns: reading it again whenever it changed.  A file that cannot be used, or that somebody
else could change, allows nobody.
"""

from __future__ import annotations

import configparser
import logging
import threading
from pathlib import Path
from typing import Dict, Mapping, Optional

from xcat_aix_agent import files, ownership
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.operations import Right

_log = logging.getLogger(__name__)

_RIGHTS = {"read": Right.READ, "operate": Right.OPERATE, "admin": Right.ADMIN}


class PolicyError(Exception):
    """The policy cannot be used; the message names the file and what is wrong."""


class PolicyFile:
    """The rights in a file, as new as the file.  Safe for use by several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: Optional[files.Stamp] = None
        self._rights: Mapping[Identity, Right] = {}

    def of(self, identity: Identity) -> Optional[Right]:
        """What ``identity`` may do, None if it is not named."""
        with self._lock:
            stamp = files.stamp(self.path)
            if stamp != self._stamp:
                self._rights = self._read()
                self._stamp = stamp
            return self._rights.get(identity)

    def _read(self) -> Mapping[Identity, Right]:
        try:
            rights = load(self.path)
        except PolicyError as error:
            _log.error("nobody is allowed anything: %s", error)
            return {}
        names = ", ".join(f"{who} {right.name.lower()}" for who, right in rights.items())
        _log.info("policy %s read: %s", self.path, names or "nobody is allowed anything")
        return rights


def load(path: Path) -> Mapping[Identity, Right]:
    """The rights in ``path``; raises :class:`PolicyError`."""
    # No section holds for all others: [DEFAULT] is a name like any other, and no identity.
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="")
    try:
        ownership.check_file(path)
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except ownership.OwnershipError as error:
        raise PolicyError(str(error)) from None
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
