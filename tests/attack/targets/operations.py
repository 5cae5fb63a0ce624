"""The codec between management node and agents, in both directions: strict, and what it builds is sound."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.attack import grammars
from tests.attack.meter import Complaint
from tests.attack.targets import Target

from xcat_aix_proto import codec, facts, jobs, messages, operations
from xcat_aix_proto.errors import AgentError

#: What either end reads, by the word that an input begins with.
_TYPES = {
    cls.__name__: cls
    for cls in (
        *(messages.Hello, messages.Welcome, messages.RelayRequest, jobs.JobStatus, jobs.JobUpdate),
        *(jobs.Probe, jobs.JobOutcome, facts.HostReport, facts.NimObject),
    )
}
_SAMPLES: Mapping[str, Any] = {
    "Hello": {"protocols": [1], "version": "1"},
    "Welcome": {
        "protocol": 1,
        "version": "1",
        "node": "sn1",
        "role": "sn",
        "operations": ["host.facts@1"],
        "right": 1,
    },
    "RelayRequest": {"node": "n1", "address": "10.0.0.1", "port": 3009},
    "JobUpdate": {
        "status": {"job_id": "j", "kind": "k", "state": "running", "last_seq": 1, "outcome": None},
        "events": [{"seq": 1, "at": "2026", "text": "x"}],
    },
    "Outcome": {"ok": False, "result": {}, "error": {"code": 1, "message": "x"}},
    "Probe": {"verdict": "done", "text": "x"},
    "Host": {
        "node": "n",
        "hostname": "n",
        "os_level": "7.3",
        "niminfo": {"A": "b"},
        "interfaces": [{"name": "en0", "address": "10.0.0.1", "netmask": "255.0.0.0"}],
    },
    "NimObject": {"name": "n", "attributes": [["a", "b"]]},
}
_TEXTS = {
    "nim_name": "sn1",
    "master": "mn",
    "server": "10.0.0.1",
    "old": "10.0.0.1",
    "new": "10.0.0.2",
}
_TEXTS |= {"client": "10.0.0.3", "target": "iqn.2001:x", "lun": "0x1000000000000"}


def _operations() -> Iterator[dict[str, Any]]:
    """One right value of each operation, as far as its fields are known here."""
    for kind, cls in operations.BY_KIND.items():
        args: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            has_default = field.default is not dataclasses.MISSING
            if not has_default and field.default_factory is dataclasses.MISSING:
                args[field.name] = _TEXTS.get(field.name, "x")
        if "scripts" in args:
            args["scripts"] = ["otherpkgs", "confignics -s"]
        yield {"kind": kind, "args": args}


_SINGLE = tuple(_operations())
_JOBS = tuple(one for one in _SINGLE if not operations.BY_KIND[one["kind"]].is_query)


def chain(rng: random.Random) -> dict[str, Any]:
    """A chain, right or nearly: nested, of thousands, with queries, with what is none, with the same twice."""
    parts: list[Any] = [rng.choice(_JOBS) for _ in range(rng.randint(1, 6))]
    match rng.randrange(9):
        case 0:
            parts = list(_JOBS)
        case 1:
            parts.insert(rng.randint(0, len(parts)), chain(rng))
        case 2:
            parts = [rng.choice(_SINGLE)] * rng.choice((0, 32, 33, 1000, 5000))
        case 3:
            parts.insert(rng.randint(0, len(parts)), rng.choice(_SINGLE))
        case 4:
            parts.insert(rng.randint(0, len(parts)), grammars.value(rng))
        case 5:
            nested: Any = {"kind": "chain@1", "args": {"operations": parts}}
            for _ in range(rng.choice((1, 5, 12, 200))):
                nested = {"kind": "chain@1", "args": {"operations": [nested]}}
            parts = [nested]
        case 6:
            place = rng.randrange(len(parts))
            parts[place] = {**parts[place], "args": grammars.mutated(rng, parts[place]["args"])}
        case 7:
            return {"kind": "chain@1", "args": grammars.mutated(rng, {"operations": parts})}
    return {"kind": "chain@1", "args": {"operations": parts}}


_CHAIN = {"kind": "chain@1", "args": {"operations": [*_JOBS]}}
_OPERATIONS = tuple(b"Operation " + json.dumps(data).encode() for data in (*_SINGLE, _CHAIN))


class Operations(Target):
    """An input is a type's name, a blank, and JSON; without a known name it is an operation."""

    allowed = (AgentError,)
    spoilt = 0.3
    tokens = (
        b'"kind"',
        b'"args"',
        b"null",
        b"true",
        b"[",
        b"{",
        b"}",
        b"[[[[[[[[",
        b"NaN",
        b"1e999",
        b'"client.',
    )
    seeds = (
        *_OPERATIONS,
        *(f"{name} {json.dumps(data)}".encode() for name, data in _SAMPLES.items()),
    )

    def generate(self, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return b"Operation " + grammars.dumped(chain(rng))
        seeds = self.seeds if rng.random() < 0.3 else _OPERATIONS
        name, _, text = rng.choice(seeds).partition(b" ")
        data = json.loads(text)
        if "args" in data and rng.random() < 0.7:
            return (
                name + b" " + grammars.dumped({**data, "args": grammars.mutated(rng, data["args"])})
            )
        for _ in range(rng.randint(1, 3)):
            data = grammars.mutated(rng, data)
        return name + b" " + grammars.dumped(data)

    def run(self, data: bytes) -> None:
        name, _, text = data.partition(b" ")
        try:
            read = json.loads(text.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):  # the connection's business, see the agent as a target
            return
        cls = _TYPES.get(name.decode("ascii", "replace"))
        if cls is None:
            _check(operations.from_wire(read))
        else:
            built = codec.from_wire(cls, read)
            if codec.to_wire(codec.from_wire(cls, codec.to_wire(built))) != codec.to_wire(built):
                _differs(read)


def _check(operation: operations.Operation) -> None:
    wire = operations.to_wire(operation)
    if len(operation.parts) > operations.MAX_CHAIN:
        raise Complaint(f"a chain of {len(operation.parts)} operations")
    for part in operation.parts:
        if operation.right < part.right or (len(part.parts), part.parts[0]) != (1, part):
            raise Complaint(
                f"{part.kind} is part of a chain, or needs more than it: {wire!r}"[:500]
            )
        if part is not operation and part.is_query:
            raise Complaint(f"the query {part.kind} is part of a chain")
    operations.check_wire(wire)
    if operations.to_wire(operations.from_wire(wire)) != wire:
        _differs(wire)
    for text in _texts(wire["args"]):
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
            raise Complaint(f"{operation.kind} takes a control character: {text!r}")
        if text.startswith("-"):
            raise Complaint(f"{operation.kind} takes what a program reads as an option: {text!r}")


def _differs(data: Any) -> None:
    # NaN is equal to nothing; it is no value of a field of ours either way.
    if "nan" not in repr(data).lower():
        raise Complaint(f"it reads back as something else: {data!r}"[:500])


def _texts(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield data
        case list():
            for item in data:
                yield from _texts(item)
        case dict():
            for key, item in data.items():
                yield key
                yield from _texts(item)


TARGET = Operations
