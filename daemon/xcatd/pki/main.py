"""The command ``xcat-aix-ca``: ``init``, ``issue``, ``list``; ``enroll`` and ``revoke`` are to come.

Owns: options and messages.  Must not: know X.509 (see :mod:`.authority`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from xcat_aix_proto import names
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.identity import Identity, Role
from xcatd import files

DEFAULT_DIRECTORY = Path("/etc/xcat/aix")
_CA_DAYS, _DAYS = 3650, 825


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is the exit code."""
    from .authority import AuthorityError  # noqa: PLC0415 - loads cryptography, not needed for --help

    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except (AuthorityError, AgentError) as error:
        return _fail(str(error))
    except files.UnsafeError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot write {error.filename}: {error.strerror}")
    return code


def _fail(text: str) -> int:
    sys.stderr.write(f"xcat-aix-ca: {text}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xcat-aix-ca", description="Certificates of management nodes and agents."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = _command(commands, "init", _init, "make the certificate authority")
    init.add_argument("--name", default="xcat-aix agents CA", help="common name of the CA")
    init.add_argument("--days", type=_days, default=_CA_DAYS, help="days it is valid")
    issue = _command(commands, "issue", _issue, "make certificate and key for one machine")
    issue.add_argument("role", choices=[role.value for role in Role], help="kind of machine")
    issue.add_argument("name", help="its node name (mn: the management node's host name)")
    issue.add_argument("--out", type=Path, metavar="FILE", help="where to put both, as one PEM")
    issue.add_argument("--days", type=_days, default=_DAYS, help="days they are valid")
    _command(commands, "list", _list, "show what was issued")
    for name, text in (("enroll", "let a node ask"), ("revoke", "take a certificate back")):
        later = _command(commands, name, _later, f"{text} (not in this version)")
        later.add_argument("words", nargs="*", help=argparse.SUPPRESS)
        later.set_defaults(command=name)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: object,
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument(
        "--dir", type=Path, default=DEFAULT_DIRECTORY, metavar="DIR", help="the CA's directory"
    )
    return command


def _days(text: str) -> int:
    days = int(text)
    if not 0 < days <= 36500:
        raise argparse.ArgumentTypeError("must be 1 to 36500")
    return days


def _init(options: argparse.Namespace) -> int:
    from . import store  # noqa: PLC0415 - see main

    store.create(options.dir, options.name, datetime.now(UTC), options.days)
    _print(f"{options.dir / store.CA}: copy it to every agent")
    _print(f"{options.dir / store.CA_KEY}: keep it here")
    return 0


def _issue(options: argparse.Namespace) -> int:
    from . import store  # noqa: PLC0415 - see main

    identity = Identity(Role(options.role), names.host_name(options.name))
    authority = store.load(options.dir)
    credential = authority.issue(identity, datetime.now(UTC), options.days)
    place = options.out or store.default_place(options.dir, identity)
    store.record(options.dir, credential)
    store.write(place, credential.pem, mode=0o600)
    _print(
        f"{place}: {identity}, serial {credential.serial:x}, until {credential.expires:%Y-%m-%d}"
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    from . import store  # noqa: PLC0415 - see main

    for entry in store.issued(options.dir):
        _print(f"{entry.identity}  serial {entry.serial}  until {entry.expires:%Y-%m-%d}")
    return 0


def _later(options: argparse.Namespace) -> int:
    return _fail(
        f"{options.command} is not in this version; until then issue a new certificate with"
        " 'xcat-aix-ca issue', and shut a peer out in the agents' policy file"
    )


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
