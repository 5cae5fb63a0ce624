"""The CA's directory: ``ca.pem``, ``ca-key.pem``, the management node's ``mn-cred.pem``, and what was issued.

Owns: names, modes and the list ``issued`` (one line per certificate).  Must not: know X.509.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity, Role
from xcatd import files

from .authority import Authority, AuthorityError, Credential

CA, CA_KEY, MN, ISSUED = "ca.pem", "ca-key.pem", "mn-cred.pem", "issued"


@dataclass(frozen=True, slots=True)
class Issued:
    """One line of the list; ``serial`` is hexadecimal."""

    serial: str
    identity: Identity
    expires: datetime


def create(directory: Path, name: str, now: datetime, days: int) -> Authority:
    """A new CA in ``directory``; raises :class:`AuthorityError` if there is one."""
    if (directory / CA_KEY).exists() or (directory / CA).exists():
        raise AuthorityError(f"cannot make a new CA: {directory} holds one; remove it first")
    authority = Authority.create(name, now, days)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(directory / CA_KEY, authority.key_pem, mode=0o600)
    write(directory / CA, authority.certificate_pem, mode=0o644)
    return authority


def load(directory: Path) -> Authority:
    """The CA in ``directory``; raises :class:`AuthorityError`."""
    try:
        certificate, key = files.read(directory / CA), files.read(directory / CA_KEY)
    except files.UnsafeError as error:
        raise AuthorityError(str(error)) from None
    except OSError as error:
        text = f"cannot read {error.filename}: {error.strerror}; run xcat-aix-ca init first"
        raise AuthorityError(text) from None
    return Authority.from_pem(certificate, key)


def default_place(directory: Path, identity: Identity) -> Path:
    """Where a credential is put unless the user says: the daemon looks for ``mn-cred.pem``."""
    if identity.role is Role.MN:
        return directory / MN
    return directory / f"{identity.role.value}-{identity.name}.pem"


def record(directory: Path, credential: Credential) -> None:
    """Add a line to the list of issued certificates."""
    expires = credential.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{credential.serial:x} {expires} {credential.identity}\n"
    files.append(directory / ISSUED, line.encode(), mode=0o644)


def issued(directory: Path) -> tuple[Issued, ...]:
    """What was issued, oldest first; raises :class:`AuthorityError` on a line that is not one."""
    try:
        lines = (directory / ISSUED).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(_issued(line, directory / ISSUED) for line in lines if line)


def _issued(line: str, path: Path) -> Issued:
    try:
        serial, expires, identity = line.split(" ")
        moment = datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return Issued(serial, Identity.parse(identity), moment)
    except (ValueError, AgentError):
        raise AuthorityError(f"cannot read {path}: {line!r} is no line of it") from None


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Put ``content`` in ``path`` at once, never readable for others on the way.

    Raises :class:`xcatd.files.UnsafeError` where somebody else could put another file there, and OSError.
    """
    files.write(path, (content,), mode=mode, trusted=True)
