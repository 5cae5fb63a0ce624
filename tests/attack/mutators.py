"""Bytes made worse: flips, cuts, splices, repetition, growth, tokens and numbers; all from one generator."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

#: What is at home in no grammar, or at the edge of most.
RUBBISH = (
    *(b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\r\n", b"\x1b[2J"),
    *("\u0660\u0661".encode(), "\u2028".encode(), "\u0130".encode(), "\u202e".encode(), b"%n%s", b"../../"),
    *(b"$(id)", b"`id`", b";", b"'", b'"', b"\\", b"--", b"\x7f", b"\t", b"\n", b"  "),
)  # fmt: skip

_NUMBERS = (
    *("0", "-1", "00", "1", "255", "256", "65535", "2147483648", "4294967295", "9223372036854775808"),
    *("1e309", "0x10", "9" * 30, "9" * 5000, "0" * 300 + "1"),
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")

_FEW = 6


class Mutator:
    """Mutations by one random generator; results are never longer than ``longest`` bytes."""

    def __init__(self, rng: random.Random, tokens: Sequence[bytes], longest: int) -> None:
        self._rng = rng
        self._tokens = (*tokens, *RUBBISH)
        self._longest = longest
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            *(self._flip, self._set, self._cut, self._end_early, self._double, self._repeat),
            *(self._token, self._token, self._over, self._number, self._swap),
        )

    def mutate(self, data: bytes, others: Sequence[bytes]) -> bytes:
        """``data`` after some mutations, perhaps spliced with one of ``others``."""
        rng = self._rng
        if others and rng.random() < 0.2:
            data = self._splice(data, rng.choice(others))
        for _ in range(rng.randint(0, _FEW)):
            data = rng.choice(self._ways)(data)[: self._longest]
        return data[: self._longest]

    def _place(self, data: bytes) -> int:
        return self._rng.randint(0, len(data))

    def _slice(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self._rng.choice((1, 2, 4, 16, 64, 1024)))

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._rng.randint(1, 8) if data else 0):
            changed[self._rng.randrange(len(changed))] ^= 1 << self._rng.randrange(8)
        return bytes(changed)

    def _set(self, data: bytes) -> bytes:
        changed = bytearray(data)
        if data:
            changed[self._rng.randrange(len(changed))] = self._rng.randrange(256)
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        start, end = self._slice(data)
        return data[:start] + data[end:]

    def _end_early(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _double(self, data: bytes) -> bytes:
        start, end = self._slice(data)
        return data[:end] + data[start:]

    def _repeat(self, data: bytes) -> bytes:
        """A piece many times: sometimes until the input is as long as it may be."""
        start, end = self._slice(data)
        piece = data[start:end] or b"a"
        room = self._longest if self._rng.random() < 0.1 else min(self._longest, 4096)
        times = self._rng.randint(2, max(2, room // len(piece)))
        return data[:start] + piece * times + data[end:]

    def _token(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._rng.choice(self._tokens) + data[place:]

    def _over(self, data: bytes) -> bytes:
        start, end = self._slice(data)
        return data[:start] + self._rng.choice(self._tokens) + data[end:]

    def _number(self, data: bytes) -> bytes:
        found = list(_NUMBER.finditer(data))
        if not found:
            return data
        match = self._rng.choice(found)
        return data[: match.start()] + self._rng.choice(_NUMBERS).encode() + data[match.end() :]

    def _swap(self, data: bytes) -> bytes:
        first, second = sorted((self._place(data), self._place(data)))
        return data[second:] + data[first:second] + data[:first]

    def _splice(self, data: bytes, other: bytes) -> bytes:
        return data[: self._place(data)] + other[self._place(other) :]
