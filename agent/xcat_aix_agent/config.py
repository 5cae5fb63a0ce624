"""The agent's settings: one INI file, read once, into one frozen value.

Owns: the names, meanings and defaults of the settings (:data:`KEYS` also feeds the manual page).  Must
not: open any of the files it names.
"""

from __future__ import annotations

import configparser
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from xcat_aix_proto import DEFAULT_PORT, names
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity, Role

from . import ownership
from .shell import DEFAULT_PATH

DEFAULT_FILE = Path("/etc/xcat/aix-agent.ini")
SECTION = "agent"


class ConfigError(Exception):
    """The settings cannot be used; the message names the file, the key and what to do."""


@dataclass(frozen=True)
class AgentConfig:
    """The settings of one agent.  Times are in seconds; see :data:`KEYS` for each one's meaning."""

    node: str
    role: Role
    certificate: Path
    ca: Path
    policy: Path
    jobs: Path
    listen: Tuple[str, ...] = ()
    port: int = DEFAULT_PORT
    crl: Optional[Path] = None
    root: Path = Path("/")
    path: str = DEFAULT_PATH
    postscripts: str = "/xcatpost"
    relay_ports: Tuple[int, ...] = ()
    max_connections: int = 128
    max_peer_connections: int = 96
    max_peer_queries: int = 8
    max_handshakes: int = 32
    handshake_timeout: float = 5.0
    idle_timeout: float = 600.0
    connection_life: float = 3600.0
    max_jobs: int = 500
    max_running: int = 64
    max_job_log: int = 1024 * 1024
    keep_jobs: float = 7 * 86400.0
    log: Optional[Path] = None

    @property
    def identity(self) -> Identity:
        """Who this agent is, and must be by its certificate."""
        return Identity(self.role, self.node)

    @property
    def addresses(self) -> Tuple[str, ...]:
        """Where to listen: as configured, else where the node's own name leads."""
        return self.listen or (self.node,)


@dataclass(frozen=True)
class Key:
    """One setting: how its text is read, and what it means."""

    read: Callable[[str], Any]
    meaning: str


def _path(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _optional_path(text: str) -> Optional[Path]:
    return _path(text) if text else None


def _absolute(text: str) -> str:
    return str(_path(text))


def _search_path(text: str) -> str:
    for word in text.split(":"):
        if not Path(word).is_absolute():
            raise ValueError("must be absolute directories with colons between them")
    return text


def _list(text: str) -> Tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("must be a port number")
    return port


def _ports(text: str) -> Tuple[int, ...]:
    return tuple(_port(word) for word in _list(text))


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("must be at least 1")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 10**9:
        raise ValueError("must be a positive number of seconds")
    return seconds


def _node(text: str) -> str:
    try:
        return names.host_name(text)
    except AgentError as error:
        raise ValueError(error.message) from None


def _role(text: str) -> Role:
    if text not in {"sn", "cn"}:
        raise ValueError("must be sn (service node) or cn (compute node)")
    return Role(text)


KEYS: Mapping[str, Key] = {
    "node": Key(_node, "name of this node in the xCAT database"),
    "role": Key(_role, "sn on a service node, cn on a compute node"),
    "certificate": Key(_path, "PEM file with this node's certificate and private key"),
    "ca": Key(_path, "PEM file with the certificate of the agents' certificate authority"),
    "policy": Key(_path, "INI file that says which management node may do what"),
    "jobs": Key(_path, "directory of the jobs"),
    "listen": Key(_list, "addresses to listen at; default: the address of the node's name"),
    "port": Key(_port, "port to listen at (site.aixagentport)"),
    "crl": Key(_optional_path, "PEM file with the revocation list of the CA; empty: none"),
    "root": Key(_path, "directory that stands for / in all operations"),
    "path": Key(_search_path, "where commands are looked for"),
    "postscripts": Key(_absolute, "directory of the postscripts, below root"),
    "relay_ports": Key(_ports, "ports of compute nodes' agents to relay to; default: port"),
    "max_connections": Key(_count, "authenticated connections at once"),
    "max_peer_connections": Key(_count, "authenticated connections of one management node at once"),
    "max_peer_queries": Key(_count, "queries and probes of one management node at once"),
    "max_handshakes": Key(
        _count,
        "connections that have said nothing yet, and as many that are not yet authenticated; the"
        " oldest of the address with most of them gives way",
    ),
    "handshake_timeout": Key(_seconds, "seconds until a peer must have said who it is"),
    "idle_timeout": Key(_seconds, "seconds without a call after which a connection is closed"),
    "connection_life": Key(
        _seconds, "seconds after which a connection is closed; the management node makes a new one"
    ),
    "max_jobs": Key(_count, "jobs kept"),
    "max_running": Key(_count, "jobs running at once"),
    "max_job_log": Key(_count, "bytes of events kept per job"),
    "keep_jobs": Key(_seconds, "seconds an acknowledged job is kept for people to look at"),
    "log": Key(_optional_path, "log file, rotated; default: standard error"),
}


def load(path: Path = DEFAULT_FILE) -> AgentConfig:
    """The settings in ``path``; raises :class:`ConfigError`, also if somebody else could change them."""
    try:
        ownership.check_file(path.absolute())
        text = path.read_text(encoding="utf-8")
    except ownership.OwnershipError as error:
        raise ConfigError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read {path}: {reason}") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> AgentConfig:
    """The settings in ``text``; ``name`` is the file's name for messages."""
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="")
    try:
        parser.read_string(text, source=name)
    except configparser.Error as error:
        raise ConfigError(f"cannot read {name}: {' '.join(str(error).split())}") from None
    if parser.sections() != [SECTION]:
        raise ConfigError(f"cannot use {name}: it must hold exactly one section, [{SECTION}]")
    return _build(dict(parser.items(SECTION)), name)


def _build(values: Mapping[str, str], name: str) -> AgentConfig:
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise ConfigError(f"cannot use {name}: it has no setting {', '.join(unknown)}")
    missing = [
        f.name for f in fields(AgentConfig) if f.default is MISSING and not values.get(f.name)
    ]
    if missing:
        raise ConfigError(f"cannot use {name}: it lacks {', '.join(missing)}")
    read: Dict[str, Any] = {}
    for key, text in values.items():
        try:
            read[key] = KEYS[key].read(text.strip())
        except ValueError as error:
            raise ConfigError(f"cannot use {name}: {key} = {text}: {error}") from None
    return AgentConfig(**read)
