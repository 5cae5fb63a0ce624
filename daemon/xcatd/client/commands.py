"""What a command line becomes on the wire: which arguments are the noderange, what else is sent.

Pure, but for the files that a noderange names (:mod:`.nodefiles`).  Facts: docs/facts/wire.md, What clients send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from xcatd.wire.savedplan import ASKS_ABOVE
from xcatd.wire.tree import Tree

from . import nodefiles


class ClientProgram(Enum):
    """Which of the three existing client programs a command belongs to."""

    NODERANGE = "xcatclient"
    PLAIN = "xcatclientnnr"
    OBJECTS = "xcatDBcmds"


_NODERANGE = frozenset(
    [
        *("cfghost", "chvm", "getmacs", "imgcapture", "litefile", "litetree", "lsflexnode"),
        *("lshwconn", "lslite", "lstree", "lsvm", "makeconservercf", "makedhcp", "makedns"),
        *("makegocons", "makehosts", "makeknownhosts", "mkflexnode", "mkhwconn", "mkvm"),
        *("nodech", "nodels", "noderm", "nodeset", "nodestat", "rbeacon", "rbootseq"),
        *("renergy", "reventlog", "rflash", "rinv", "rmflexnode", "rmhwconn", "rmhypervisor"),
        *("rmvm", "rnetboot", "rnoderange", "rpower", "rscan", "rsetboot", "rspreset", "rvitals"),
        *("setupiscsidev", "tabgrep", "xCATWorld"),
    ]
)
_OBJECTS = frozenset(
    [
        *("chdef", "chkosimage", "lsdef", "mkdef", "mkdsklsnode", "mknimimage", "nimnodecust"),
        *("nimnodeset", "rmdef", "rmdsklsnode", "rmnimimage", "xcat2nim"),
    ]
)
#: Object commands whose first plain operand is sent as noderange too.
_WITH_OPERAND = frozenset(["nimnodeset", "mkdsklsnode", "rmdsklsnode", "xcat2nim", "nimnodecust"])
#: Commands with plain arguments of which one is a noderange.
_PLAIN_WITH_NODERANGE = frozenset(["nodeadd", "snmove"])
_TAKING_VALUES = "ismot"


def kind_of(command: str) -> ClientProgram:
    """The client program a command is linked to; a command of our own takes plain arguments."""
    if command in _NODERANGE:
        return ClientProgram.NODERANGE
    return ClientProgram.OBJECTS if command in _OBJECTS else ClientProgram.PLAIN


def split_noderange(command: str, args: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Arguments before the noderange, the noderange itself (None: not to be sent), and those after."""
    if command == "lslite" and "-i" in ",".join(args):
        return [], None, list(args)
    for index, arg in enumerate(args):
        if not arg.startswith("-"):
            return list(args[:index]), arg.rstrip(","), list(args[index + 1 :])
    return list(args), "", []


def object_operand(args: Sequence[str]) -> str | None:
    """The first operand without ``=`` after the options, as Perl's ``getopt('ismot')`` leaves it."""
    left = list(args)
    while left and len(left[0]) > 1 and left[0].startswith("-"):
        letter, rest = left[0][1], left[0][2:]
        if left[0] == "--":
            del left[0]
            break
        if letter in _TAKING_VALUES:
            del left[: 1 if rest else 2]
        elif rest:
            left[0] = "-" + rest
        else:
            del left[0]
    operands = (arg for arg in left if "=" not in arg and not arg.startswith("-"))
    return next(operands, None)


def _with_files(args: Sequence[str]) -> list[str]:
    """The arguments, those that may be noderanges with their files' contents."""
    return [arg if "=" in arg or arg.startswith("-") else nodefiles.put_in(arg) for arg in args]


def build(
    command: str,
    args: Sequence[str],
    *,
    cwd: str | None,
    stdin: Sequence[str | None],
    environ: Mapping[str, str],
    asks_above: int | None = None,
) -> Tree:
    """The request's tree.  ``stdin`` is empty when none is to be sent, else its one text.

    ``asks_above``: above how many nodes the user can be asked before something is done.  Raises :class:`.nodefiles.FileError`.
    """
    tree: Tree = {"command": [command], "clienttype": ["cli"], "cwd": [cwd]}
    kind = kind_of(command)
    sent = list(args)
    noderange: str | None = None
    match kind:
        case ClientProgram.NODERANGE:
            before, noderange, after = split_noderange(command, args)
            noderange = nodefiles.put_in(noderange) if noderange else noderange
            sent = before + after
        case ClientProgram.OBJECTS:
            sent = _with_files(args)
            noderange = object_operand(sent) if command in _WITH_OPERAND else None
        case ClientProgram.PLAIN if command in _PLAIN_WITH_NODERANGE:
            sent = _with_files(args)
        case ClientProgram.PLAIN:
            pass
    if noderange is not None:
        tree["noderange"] = [noderange]
    if sent:
        tree["arg"] = [*sent]
    if stdin:
        tree["stdin"] = [*stdin]
    if variables := _variables(kind, environ, asks_above):
        tree["environment"] = [variables]
    return tree


def _variables(kind: ClientProgram, environ: Mapping[str, str], asks_above: int | None) -> Tree:
    names = () if kind is ClientProgram.OBJECTS else environ
    variables: Tree = {name: [environ[name]] for name in names if name.startswith("XCAT_")}
    variables.pop(ASKS_ABOVE, None)  # it is this program's word, not its user's
    if asks_above is not None:
        variables[ASKS_ABOVE] = [str(asks_above)]
    return variables


def shows_server(command: str, args: Sequence[str]) -> bool:
    """``-V`` or ``--verbose`` among the arguments after the noderange shows the server's name."""
    kind = kind_of(command)
    if kind is ClientProgram.OBJECTS:
        return False
    looked_at = args if kind is ClientProgram.PLAIN else split_noderange(command, args)[2]
    return "-V" in looked_at or "--verbose" in looked_at
