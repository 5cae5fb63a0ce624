"""Cutting long answers into replies of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of up to ``size`` items, in order; lazy."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch
