"""Perl's regular expressions: the one place that reads them and lets them run.

Noderanges, ``-w``, group values, dynamic groups and ``policy.parameters`` all come here.  An expression may need any
time, and nothing that can be seen in it tells how much: so it is given a time, alone and with all others of a request
(:func:`budget`), in seconds of computing, and what needs longer raises :class:`TooCostly`.  No other thread waits
meanwhile: after a moment (``_QUIET``) the interpreter lock is given up.

What an expression means is :mod:`.perlsyntax`'s; the matching is done by the library ``regex``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

import regex

from .perlsyntax import LONGEST, BadPattern, translate

__all__ = [
    "LONGEST",
    "BadPattern",
    "Expression",
    "TimeBudget",
    "TooCostly",
    "budget",
    "compile_pattern",
    "current",
]

Match: TypeAlias = regex.Match[str]

#: Seconds that the expressions of one request may take where nobody said otherwise.
USUAL = 10.0

#: Seconds that one of them may take, as a part of all, and at most.
_PART = 0.5
_MOST_ALONE = 2.0

#: Seconds for which no other thread may run: giving up the lock costs more than nearly every expression takes.
_QUIET = 0.005

#: How much compiled expressions are kept, in their items (about 1 KB each).
_MOST_KEPT = 65_536

#: How many texts are kept that were too much for an expression, and how long they are at most.
_MOST_REMEMBERED = 256
_LONGEST_REMEMBERED = 4096

#: Longer texts, in characters, are not searched: in the worst case a search takes about 2 KB for each of them.
LONGEST_TEXT = 1 << 16

_SHOWN = 80


class TooCostly(BadPattern):
    """The time is over; the text says which expression, and what to do."""


class Expression:
    """A pattern ready for use; its meaning for plain ASCII names is Perl's."""

    __slots__ = ("_search", "pattern")

    def __init__(self, pattern: str, compiled: regex.Pattern[str]) -> None:
        self.pattern = pattern
        self._search = compiled.search

    def search(self, text: str) -> Match | None:
        """The first match; raises :class:`TooCostly`."""
        return current().search(self, text)

    def quick(self, text: str) -> Match | None:
        """As :meth:`search`, for a moment in which nothing else runs; raises TimeoutError."""
        # By place, which is faster by half: from, to, concurrent, partial, timeout.
        return self._search(text, None, None, False, False, _QUIET)

    def patient(self, text: str, seconds: float) -> Match | None:
        """As :meth:`search`, beside other threads; raises TimeoutError."""
        return self._search(text, timeout=seconds, concurrent=True)


class Clocks(NamedTuple):
    """What tells seconds: of the day, which is quick to read, and of this thread's computing, which counts."""

    passed: Callable[[], float] = time.perf_counter
    computed: Callable[[], float] = time.thread_time


class TimeBudget:
    """The time that the expressions of one request have: ``seconds`` in all, ``alone`` for each of them.

    What passes is counted.  Where that is too much, what was computed decides: a busy machine is nobody's fault.
    One thread's; not to be shared.
    """

    def __init__(self, seconds: float, clocks: Clocks = Clocks()) -> None:  # noqa: B008 - immutable
        self.seconds = seconds
        self.alone = min(seconds * _PART, _MOST_ALONE)
        self.used = 0.0
        self._passed, self._computed = clocks
        self._began = self._computed()
        self._spent: dict[str, float] = {}
        self._given_up: set[str] = set()

    def search(self, expression: Expression, text: str) -> Match | None:
        """The first match, on this budget's account; raises :class:`TooCostly`."""
        label = expression.pattern
        started = self.begin(label)
        try:
            return self.match(expression, text, label)
        finally:
            self.end(label, started)

    def begin(self, label: str) -> float:
        """What is done from here to :meth:`end` counts as this expression's; raises TooCostly when it had its time."""
        if self.used >= self.seconds or self._spent.get(label, 0.0) >= self.alone:
            self._judge(label)
        return self._passed()

    def end(self, label: str, started: float) -> None:
        """The end of what :meth:`begin` began."""
        took = self._passed() - started
        self.used += took
        self._spent[label] = self._spent.get(label, 0.0) + took

    def match(self, expression: Expression, text: str, label: str) -> Match | None:
        """The first match, between :meth:`begin` and :meth:`end` of the expression called so; raises TooCostly."""
        if len(text) > LONGEST_TEXT:
            raise TooCostly(
                f"the expression {_shown(label)} meets a text of more than {LONGEST_TEXT} characters"
            )
        try:
            return expression.quick(text)
        except TimeoutError:
            return self._patient(expression, text, label)

    def _judge(self, label: str) -> None:
        """Raise, or correct the account by what was really computed."""
        computed = self._computed() - self._began
        self.used = min(self.used, computed)
        spent = self._spent[label] = min(self._spent.get(label, 0.0), computed)
        if label in self._given_up or spent >= self.alone:
            raise _too_costly(label, self.alone)
        if self.used >= self.seconds:
            raise self._together(label)

    def _together(self, label: str) -> TooCostly:
        return TooCostly(
            f"the expressions of this request took longer than {self.seconds:g} s together (the last"
            f" one is {_shown(label)}); ask for less at once, or simplify them"
        )

    def _patient(self, expression: Expression, text: str, label: str) -> Match | None:
        alone = self.alone - self._spent.get(label, 0.0)
        together = self.seconds - self.used
        seconds = min(alone, together)
        if not _remembered.knows(expression.pattern, text, seconds):
            try:
                return expression.patient(text, seconds)
            except TimeoutError:
                _remembered.add(expression.pattern, text, seconds)
        self._given_up.add(label)
        self._spent[label] = self.alone
        raise _too_costly(label, self.alone) if alone <= together else self._together(label)

    def compile(self, pattern: str) -> tuple[Expression, int]:
        """Read a pattern on this budget's account; raises BadPattern."""
        started = self.begin(pattern)
        try:
            return _compile(pattern)
        finally:
            self.used += self._passed() - started


def _shown(pattern: str) -> str:
    return repr(pattern if len(pattern) <= _SHOWN else pattern[:_SHOWN] + "...")


def _too_costly(pattern: str, seconds: float) -> TooCostly:
    return TooCostly(
        f"the expression {_shown(pattern)} took longer than {seconds:g} s; simplify it: what is"
        " repeated in it, as in .*.*.* or (a+)+, fits in too many ways"
    )


class _Remembered:
    """Texts that were too much for an expression, so that nobody waits for them again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: OrderedDict[tuple[str, str], float] = OrderedDict()

    def knows(self, pattern: str, text: str, seconds: float) -> bool:
        """Whether as much time as this was not enough."""
        return self._seconds.get((pattern, text), 0.0) >= seconds

    def add(self, pattern: str, text: str, seconds: float) -> None:
        if len(text) > _LONGEST_REMEMBERED:
            return
        with self._lock:
            self._seconds[pattern, text] = seconds
            self._seconds.move_to_end((pattern, text))
            if len(self._seconds) > _MOST_REMEMBERED:
                self._seconds.popitem(last=False)


class _Kept:
    """Compiled patterns and refused ones, the latest used, by how much they are made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[Expression | str, int]] = OrderedDict()
        self._items = 0

    def get(self, pattern: str) -> Expression | str | None:
        """The expression, why there is none, or None when neither is known."""
        with self._lock:
            found = self._found.get(pattern)
            if found is None:
                return None
            self._found.move_to_end(pattern)
            return found[0]

    def put(self, pattern: str, found: Expression | str, items: int) -> None:
        with self._lock:
            old = self._found.pop(pattern, None)
            self._found[pattern] = (found, items)
            self._items += items - (old[1] if old else 0)
            while self._items > _MOST_KEPT:
                _, (_, freed) = self._found.popitem(last=False)
                self._items -= freed


_remembered = _Remembered()
_kept = _Kept()
_budget: ContextVar[TimeBudget | None] = ContextVar("budget", default=None)
_own = threading.local()


@contextmanager
def budget(seconds: float, clocks: Clocks = Clocks()) -> Iterator[TimeBudget]:  # noqa: B008 - immutable
    """Within it, this thread's expressions have so many seconds of computing in all."""
    token = _budget.set(TimeBudget(seconds, clocks))
    try:
        yield current()
    finally:
        _budget.reset(token)


#: A thread without a budget has :data:`USUAL` seconds, and again as many after so many seconds of the day.
_PERIOD = 60.0


def current() -> TimeBudget:
    """The request's budget; outside of requests the thread's own, which is filled up now and then."""
    found = _budget.get()
    if found is not None:
        return found
    now = time.monotonic()
    usual: TimeBudget | None = getattr(_own, "budget", None)
    if usual is None or now >= _own.until:
        usual = _own.budget = TimeBudget(USUAL)
        _own.until = now + _PERIOD
    return usual


def compile_pattern(pattern: str) -> Expression:
    """The pattern with Perl's meaning for plain ASCII names; raises BadPattern."""
    found = _kept.get(pattern)
    if found is None:
        try:
            found, items = current().compile(pattern)
        except TooCostly:
            raise
        except BadPattern as bad:
            found, items = str(bad), 1 + len(pattern) // 16
        _kept.put(pattern, found, items)
    if isinstance(found, str):
        raise BadPattern(found)
    return found


def _compile(pattern: str) -> tuple[Expression, int]:
    try:
        text, items = translate(pattern)
        compiled = regex.compile(text, regex.ASCII | regex.VERSION0, cache_pattern=False)
    except BadPattern as bad:
        raise BadPattern(f"{_shown(pattern)} is not a usable regular expression: {bad}") from None
    except (regex.error, OverflowError, RecursionError) as bad:
        why = str(bad).partition(" at position ")[0]  # a place in what it was made into
        raise BadPattern(f"{_shown(pattern)} is not a usable regular expression: {why}") from None
    finally:
        regex.purge()  # the library keeps a note of every pattern it ever read
    return Expression(pattern, compiled), items


def like(pattern: str) -> Expression:
    """SQL's LIKE, as an expression that tries no way twice: ``%`` is any text, ``_`` any character; raises BadPattern.

    Letters match in either case.
    """
    if len(pattern) > _LONGEST_LIKE:
        raise BadPattern(f"{_shown(pattern)} is longer than {_LONGEST_LIKE} characters")
    first, *others = map(_fixed, pattern.split("%"))
    middle = "".join(f"(?>(?s:.)*?{part})" for part in others[:-1] if part)
    last = f"(?s:.*){others[-1]}" if others else ""
    return compile_pattern(rf"(?i)\A{first}{middle}{last}\z")


#: Texts of LIKE in characters; as expressions they are several times as long.
_LONGEST_LIKE = 400


def _fixed(text: str) -> str:
    """A text of LIKE without ``%``."""
    return "".join("(?s:.)" if char == "_" else f"\\x{{{ord(char):x}}}" for char in text)
