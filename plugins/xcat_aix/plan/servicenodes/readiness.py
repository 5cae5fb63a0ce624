"""Is the new service node ready for its nodes?

Owns: docs/facts/snmove.md, Readiness, over what its agent answered.  Must not: ask anybody, or stop
anything; the findings are notes, and the caller decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Note
from xcat_aix.plan.reading import Row, Tables
from xcat_aix_proto.facts import NimDatabase

from .moves import Assignment, NodeKind

#: The columns of nimimage that name NIM resources (docs/facts/nim.md, osimages and names).
RESOURCES = (
    "lpp_source",
    "spot",
    "root",
    "shared_root",
    "paging",
    "dump",
    "tmp",
    "home",
    "shared_home",
    "resolv_conf",
    "bosinst_data",
    "image_data",
    "installp_bundle",
    "script",
    "fb_script",
    "mksysb",
)
LISTS = frozenset({"installp_bundle", "script"})


@dataclass(slots=True)
class _Group:
    """The AIX nodes that go to one service node, by what they need of it."""

    by_image: dict[str | None, list[Assignment]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the new service nodes lack, and the diskless nodes that cannot boot there because of it."""

    notes: tuple[Note, ...] = ()
    unready: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Finding:
    """Something that is missing for these nodes; ``mend`` is the command that makes it."""

    text: str
    nodes: tuple[str, ...]
    mend: str | None = None

    def note(self) -> Note:
        names = fold(self.nodes)
        text = f"{self.text}; run: {self.mend} -b {names}" if self.mend else self.text
        return Note("warning", text, subject=names)


def nim_name(node: str) -> str:
    """The NIM object of a node bears its short host name (docs/facts/nim.md, osimages and names)."""
    return node.partition(".")[0]


def findings(
    choices: Sequence[Assignment], nims: Mapping[str, NimDatabase], tables: Tables
) -> Readiness:
    """What each new service node lacks; ``nims`` holds those that answered, by node name."""
    images = {row.get("imagename"): row for row in tables.rows("nimimage")}
    groups: dict[str, _Group] = {}
    for choice in choices:
        if choice.kind.is_aix and choice.server in nims:
            group = groups.setdefault(choice.server, _Group())
            group.by_image.setdefault(choice.image, []).append(choice)
    notes: list[Note] = []
    unready: set[str] = set()
    for server, group in groups.items():
        for found in _server_findings(server, nims[server], group, images):
            if isinstance(found, Note):
                notes.append(found)
            else:
                notes.append(found.note())
                unready.update(found.nodes)
    diskless = (choice.node for choice in choices if choice.kind is NodeKind.DISKLESS)
    return Readiness(tuple(notes), tuple(node for node in diskless if node in unready))


def _server_findings(
    server: str, nim: NimDatabase, group: _Group, images: Mapping[str | None, Row]
) -> Iterator[Note | _Finding]:
    if not nim.is_master:
        nodes = [choice.node for chosen in group.by_image.values() for choice in chosen]
        yield _Finding(f"{server} is not a NIM master: NIM is not configured there", tuple(nodes))
        return
    for problem in nim.problems:
        yield Note("warning", f"its NIM database could not be read wholly: {problem}", server)
    objects = nim.by_name()
    for image, chosen in group.by_image.items():
        row = images.get(image)
        nodes = [choice.node for choice in chosen]
        mend = _mend(chosen[0].kind)
        if row is None:
            yield _Finding(f"osimage {image or '(none)'} is not in table nimimage", tuple(nodes))
        else:
            for kind, name in resources(row):
                if name not in objects:
                    yield _Finding(
                        f"{server} has no NIM resource {name} ({kind} of osimage {image})",
                        tuple(nodes),
                        mend,
                    )
        yield from _machine_findings(server, nim, chosen, mend)


def resources(image: Row) -> Iterator[tuple[str, str]]:
    """(type, name) of every NIM resource of a nimimage row."""
    for column in RESOURCES:
        value = image.get(column) or ""
        names = value.split(",") if column in LISTS else [value]
        for name in names:
            if name.strip():
                yield column, name.strip()


def _machine_findings(
    server: str, nim: NimDatabase, chosen: Sequence[Assignment], mend: str | None
) -> Iterator[_Finding]:
    objects = nim.by_name()
    unknown = [choice.node for choice in chosen if nim_name(choice.node) not in objects]
    if unknown:
        yield _Finding(f"{server} does not know the node as a NIM machine", tuple(unknown), mend)
    if chosen[0].kind is not NodeKind.DISKLESS:
        return
    by_state: dict[str, list[str]] = {}
    for choice in chosen:
        if (machine := objects.get(nim_name(choice.node))) is not None:
            state = machine.get("Cstate") or "unknown"
            if not is_initialised(state):
                by_state.setdefault(state, []).append(choice.node)
    for state, nodes in by_state.items():
        yield _Finding(
            f"{server} has not initialised the diskless node (Cstate: {state})", tuple(nodes), mend
        )


def is_initialised(cstate: str) -> bool:
    """True for the states in which a diskless node can boot from the server (docs/facts/nim.md, States)."""
    return cstate.startswith(("diskless ", "dataless ")) and cstate.endswith("enabled")


def _mend(kind: NodeKind) -> str | None:
    match kind:
        case NodeKind.DISKLESS:
            return "mkdsklsnode"
        case NodeKind.DISKFUL:
            return "nimnodeset"
        case _:
            return None
