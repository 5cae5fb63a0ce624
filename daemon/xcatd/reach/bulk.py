"""Many questions at once that nobody can interrupt, within a time and in a bounded number of threads.

The system's resolver is such a thing.  Must not: know what is asked.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Threads that ask at a time.
MOST_THREADS = 16


def answers(
    ask: Callable[[K], V], questions: Sequence[K], limit: float, most: int = MOST_THREADS
) -> dict[K, V]:
    """What is answered within ``limit`` seconds for all together; ``ask`` raises nothing.

    A thread whose question has no answer by then is left to its end, and asks no other.
    """
    waiting: queue.SimpleQueue[K] = queue.SimpleQueue()
    given: queue.SimpleQueue[tuple[K, V]] = queue.SimpleQueue()
    for question in questions:
        waiting.put(question)
    late = threading.Event()

    def work() -> None:
        while not late.is_set():
            try:
                question = waiting.get_nowait()
            except queue.Empty:
                return
            given.put((question, ask(question)))

    for _ in range(min(most, len(questions))):
        threading.Thread(target=work, name="asking", daemon=True).start()
    end = time.monotonic() + limit
    found: dict[K, V] = {}
    for _ in questions:
        try:
            question, answer = given.get(timeout=max(end - time.monotonic(), 0.001))
        except queue.Empty:
            break
        found[question] = answer
    late.set()
    return found
