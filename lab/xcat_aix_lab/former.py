"""Agents of an earlier version, by what one of those was recorded to say and to have.

Today's agent that greets as the earlier one did, and has its operations and methods only: what a management
node meets while a cluster is updated node by node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Pyro5.errors import ProtocolError

from xcat_aix_agent.serving.server import AgentServer
from xcat_aix_agent.serving.service import Conversation
from xcat_aix_proto import messages
from xcat_aix_proto.errors import AgentError, ErrorCode

if TYPE_CHECKING:
    from xcat_aix_agent.serving.peers import ConnectedPeer
    from xcat_aix_agent.serving.standing import Standing


@dataclass(frozen=True)
class Former:
    """What an agent of an earlier version was."""

    version: str
    operations: tuple[str, ...]
    methods: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Former:
        """From a recording: ``{"methods": […], "exchanges": [{"method", "params", "answer"}, …]}``."""
        recorded = json.loads(path.read_text(encoding="utf-8"))
        answers = {each["method"]: each["answer"] for each in recorded["exchanges"]}
        welcome = answers["hello"]["ok"]
        return cls(welcome["version"], tuple(welcome["operations"]), frozenset(recorded["methods"]))


class FormerAgent(AgentServer):
    """An agent that is as ``former``; the rest as :class:`AgentServer`."""

    def __init__(self, former: Former, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._former = former

    def _session(self, peer: ConnectedPeer, standing: Standing) -> Conversation:
        let_in = partial(self._let_in, peer, standing)
        return _FormerSession(self._former, self.service, standing, peer.name, let_in)


class _FormerSession(Conversation):
    def __init__(self, former: Former, *args: Any) -> None:
        super().__init__(*args)
        self._former = former

    def call(
        self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any], trace: str = ""
    ) -> dict[str, Any]:
        """As it answered then."""
        if method not in self._former.methods:
            raise ProtocolError("there is no such object or method")
        for kind in (arg.get("kind") for arg in args if isinstance(arg, dict)):
            if kind is not None and kind not in self._former.operations:
                text = f"this version knows no operation {kind!r:.80}"
                return messages.failed(AgentError(ErrorCode.BAD_OPERATION, text))
        answer = super().call(method, args, kwargs, trace)
        if method == "hello" and "ok" in answer:
            operations = list(self._former.operations)
            answer["ok"].update(version=self._former.version, operations=operations)
        return answer
