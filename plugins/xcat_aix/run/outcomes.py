"""What became of each node of a step, as a value that events carry.

Owns its form in an event: ``[word, folded nodes, text]`` for all nodes with the same word and text.  However many
nodes a step has and however much is said of each, an event is bounded, and no node's verdict is lost: what is
said gets shorter.  Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from xcat_aix.plan.fold import fold, unfold
from xcat_aix_proto.jobs import Probe, Verdict

from .states import Word

#: Longest text of one node, and of all of them together as JSON, in characters.  What is beyond the second with no
#: text at all is stored all the same: it is the nodes' names.
TEXT_LIMIT = 1000
NODES_LIMIT = 512 * 1024

#: What a word says of nodes: node -> (word, text).
Verdicts: TypeAlias = Mapping[str, tuple[Word, str]]

#: As events have it.
Group: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class NodeProbes:
    """The answer of a probe that can tell nodes apart.  A node that is not in it stays in doubt."""

    nodes: Mapping[str, Probe]


@dataclass(frozen=True, slots=True)
class NodeOutcomes:
    """What an effect did, where it is not the same for all nodes of the step.

    ``failed`` says why, ``not_yet`` is what was not even begun and can be done by a later attempt, and ``lost`` what
    nobody knows; every other node is ``done``.  What is told of a node that was not asked for is not heard, and one
    that is in none of these is lost: nothing is taken for done that was not said to be.
    """

    done: Iterable[str]
    failed: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    not_yet: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)

    def verdicts(self, asked: Iterable[str]) -> dict[str, tuple[Word, str]]:
        """One for each node that was asked for."""
        told: dict[str, tuple[Word, str]] = dict.fromkeys(self.done, (Word.DONE, ""))
        for word, texts in (
            (Word.NOT_BEGUN, self.not_yet),
            (Word.LOST, self.lost),
            (Word.FAILED, self.failed),
        ):
            told.update({node: (word, text) for node, text in texts.items()})
        return {node: told.get(node, (Word.LOST, "nothing was said about it")) for node in asked}


#: What a probe in doubt says about a node.
PROBED = {
    Verdict.DONE: Word.PROBED_DONE,
    Verdict.NOT_DONE: Word.PROBED_NOT_DONE,
    Verdict.BROKEN: Word.PROBED_BROKEN,
}


def probed(probe: Probe | NodeProbes, asked: Iterable[str]) -> dict[str, tuple[Word, str]]:
    """What a probe said of the nodes it was asked about."""
    if isinstance(probe, Probe):
        return dict.fromkeys(asked, (PROBED[probe.verdict], probe.text))
    unsaid = Word.PROBED_UNREACHABLE, "nothing was said about it"
    return {
        node: (PROBED[found.verdict], found.text) if found else unsaid
        for node, found in ((node, probe.nodes.get(node)) for node in asked)
    }


def grouped(verdicts: Verdicts) -> list[Group]:
    """Equal ones together, in the order of their first node."""
    groups: dict[tuple[Word, str], list[str]] = {}
    for node, verdict in verdicts.items():
        groups.setdefault(verdict, []).append(node)
    return [(word.value, fold(nodes), text) for (word, text), nodes in groups.items()]


def fitted(groups: Sequence[Sequence[str]]) -> list[Group]:
    """The groups with as much text as an event may have; raises ValueError for what is none."""
    checked = [(str(word), str(nodes), str(text)) for word, nodes, text in groups]
    limit = TEXT_LIMIT
    short = _shortened(checked, limit)
    while limit and len(json.dumps(short, ensure_ascii=False)) > NODES_LIMIT:
        limit //= 2
        short = _shortened(checked, limit)
    return short


def _shortened(groups: Iterable[Group], limit: int) -> list[Group]:
    """Every text cut, and what is equal then together again."""
    found: dict[tuple[str, str], list[str]] = {}
    for word, nodes, text in groups:
        found.setdefault((word, shortened(text, limit)), []).append(nodes)
    return [
        (word, parts[0] if len(parts) == 1 else refolded(parts), text)
        for (word, text), parts in found.items()
    ]


def refolded(parts: Iterable[str]) -> str:
    """Several folded texts as one."""
    return fold(tuple(node for part in parts for node in unfold(part)))


def shortened(text: str, limit: int) -> str:
    """``text``, or its beginning, in ``limit`` characters."""
    if len(text) <= limit:
        return text
    return text[: limit - 4] + " ..." if limit > 8 else ""


def summary(groups: Iterable[Sequence[str]]) -> str:
    """One line for people: the first thing that went wrong, and where."""
    for word, nodes, text in groups:
        if word not in _GOOD:
            return f"{shortened(nodes, 200)}: {text}" if text else shortened(nodes, 200)
    return ""


_GOOD = frozenset({Word.DONE.value, Word.PROBED_DONE.value})
