"""Expressions have a time: alone, with the others of a request, and outside of requests."""

from __future__ import annotations

import contextvars
import threading

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from xcatd.text import perlre

#: Each takes longer than anybody waits with the text beside it; what looks at the form of an expression let some pass.
HOSTILE = [
    (".*" * 900 + "[XY]", "n" * 60),
    ("(.*)" + r"\1*" * 20 + "[XY]", "a" * 200),
    ("a?" * 200 + "a" * 200 + "[ab]?c|" + "(?:a?){30}(?:aa?){30}[XY]", "a" * 120),
    ("((a{1,500}){1,500}){1,500}[XY]", "a" * 100),
    ("(?:é*è*ê*é?)" * 40 + "[XY]", "é" * 80),
    ("(?:(a|aa)+?(b|bb|)+?)+?[XY]", "a" * 200),
]


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(perlre, "_remembered", perlre._Remembered())


@pytest.mark.parametrize(("pattern", "text"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_costly_expression_ends_in_time(pattern, text):
    expression = perlre.compile_pattern(pattern)
    with perlre.budget(0.1) as budget, pytest.raises(perlre.TooCostly) as caught:
        expression.search(text)
    assert budget.used < 1
    said = str(caught.value)
    assert said.startswith(f"the expression {pattern[:80]!r}"[:60])
    assert "took longer than 0.05 s; simplify it" in said
    assert len(said) < 300


class Stub(perlre.Expression):
    """An expression that needs so many seconds, as the clock says."""

    __slots__ = ("clock", "needs")

    def __init__(self, pattern, clock, needs):
        super().__init__(pattern, regex.compile("x"))
        self.clock = clock
        self.needs = needs

    def _take(self, seconds):
        self.clock.now += min(self.needs, seconds)
        if self.needs > seconds:
            raise TimeoutError

    def quick(self, text):
        self._take(perlre._QUIET)

    def patient(self, text, seconds):
        self._take(seconds)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def _search_with(expressions):
    for number, expression in enumerate(expressions):
        expression.search(str(number))


class TestBudget:
    def test_one_expression_alone(self):
        clock = Clock()
        slow, other = Stub("slow", clock, 99.0), Stub("other", clock, 0.001)
        with perlre.budget(10.0, perlre.Clocks(clock, clock)):
            with pytest.raises(perlre.TooCostly, match="'slow' took longer than 2 s"):
                slow.search("text")
            before = clock.now
            with pytest.raises(perlre.TooCostly, match="'slow' took longer than 2 s"):
                slow.search("another text")
            assert clock.now == before
            assert other.search("text") is None

    def test_one_expression_many_times(self):
        clock = Clock()
        slow = [Stub("slow", clock, 0.3)] * 10
        with (
            perlre.budget(10.0, perlre.Clocks(clock, clock)),
            pytest.raises(perlre.TooCostly, match="'slow' took"),
        ):
            _search_with(slow)
        assert clock.now - Clock.now == pytest.approx(2.0, abs=0.4)

    def test_all_of_a_request_together(self):
        clock = Clock()
        several = [Stub(f"p{number}", clock, 0.9) for number in range(10)]
        with (
            perlre.budget(3.0, perlre.Clocks(clock, clock)),
            pytest.raises(perlre.TooCostly, match="longer than 3 s together"),
        ):
            _search_with(several)
        assert clock.now - Clock.now < 4.0

    def test_waiting_for_the_machine_does_not_count(self):
        passed, computed = Clock(), Clock()
        slow = Stub("slow", passed, 0.004)
        with perlre.budget(10.0, perlre.Clocks(passed, computed)) as budget:
            _search_with([slow] * 5000)
            assert budget.used < 10
            computed.now += 30
            with pytest.raises(perlre.TooCostly):
                _search_with([slow] * 5000)

    def test_reading_an_expression_counts(self):
        clock = Clock()
        with perlre.budget(1.0, perlre.Clocks(clock, clock)) as budget:
            budget.used = 1.0
            clock.now += 1.0
            with pytest.raises(perlre.TooCostly, match="together"):
                perlre.compile_pattern("never seen before")
        assert perlre.compile_pattern("never seen before").search("never seen before")

    def test_what_took_too_long_is_not_tried_by_the_next(self):
        clock = Clock()
        slow = Stub("slow", clock, 99.0)
        for _ in range(3):
            with perlre.budget(10.0, perlre.Clocks(clock, clock)), pytest.raises(perlre.TooCostly):
                slow.search("text")
        assert clock.now - Clock.now < 2.1

    def test_but_who_has_more_time_tries_again(self):
        clock = Clock()
        slow = Stub("slow", clock, 1.5)
        with perlre.budget(1.0, perlre.Clocks(clock, clock)), pytest.raises(perlre.TooCostly):
            slow.search("text")
        with perlre.budget(10.0, perlre.Clocks(clock, clock)):
            assert slow.search("text") is None

    def test_few_texts_are_remembered(self):
        for number in range(1000):
            perlre._remembered.add("pattern", str(number), 1.0)
        perlre._remembered.add("pattern", "x" * 5000, 1.0)
        assert len(perlre._remembered._seconds) == perlre._MOST_REMEMBERED
        assert perlre._remembered.knows("pattern", "999", 1.0)

    def test_within_a_budget_another_is_one_of_its_own(self):
        with perlre.budget(5.0) as outer:
            with perlre.budget(1.0) as inner:
                assert perlre.current() is inner
            assert perlre.current() is outer

    def test_without_one_a_thread_has_the_usual(self, monkeypatch):
        def found():
            return perlre.current()

        first = contextvars.Context().run(found)
        assert first.seconds == perlre.USUAL
        assert contextvars.Context().run(found) is first
        monkeypatch.setattr(perlre._own, "until", 0.0)
        assert contextvars.Context().run(found) is not first


def test_other_threads_run_meanwhile():
    pattern, text = HOSTILE[0]
    expression = perlre.compile_pattern(pattern)
    ended = []

    def work():
        with perlre.budget(1.0), pytest.raises(perlre.TooCostly):
            expression.search(text)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
        thread.join(0.001)
    assert ended
    assert turns > 20


def test_long_texts_are_not_searched():
    with pytest.raises(perlre.TooCostly, match="a text of more than 65536 characters"):
        perlre.compile_pattern("a").search("b" * 65537)


def test_what_is_kept_is_bounded(monkeypatch):
    kept = perlre._Kept()
    monkeypatch.setattr(perlre, "_kept", kept)
    for number in range(300):
        perlre.compile_pattern(f"(?:a{number}){{500}}")
        with pytest.raises(perlre.BadPattern):
            perlre.compile_pattern("(" * 90 + str(number))
    assert kept._items <= perlre._MOST_KEPT
    assert len(kept._found) < 250
    assert len(regex.compile.__globals__["_locale_sensitive"]) < 10


def test_a_bad_pattern_is_read_once(monkeypatch):
    monkeypatch.setattr(perlre, "_kept", perlre._Kept())
    reads = []
    original = perlre._compile
    monkeypatch.setattr(
        perlre, "_compile", lambda pattern: (reads.append(pattern), original(pattern))[1]
    )
    for _ in range(5):
        with pytest.raises(perlre.BadPattern):
            perlre.compile_pattern("(once")
    assert reads == ["(once"]


def test_like_has_one_way_only():
    expression = perlre.like("%a" * 190 + "X")
    with perlre.budget(1.0):
        assert expression.search("a" * 50_000) is None
    assert perlre.like("%A%c").search("xxabC")
    assert perlre.like("").search("")
    assert perlre.like("").search("x") is None
    with pytest.raises(perlre.BadPattern, match="longer than 400"):
        perlre.like("%" * 401)


LETTERS = st.text("ab%_.\n", max_size=6)


@given(LETTERS, st.text("abA.\n", max_size=7))
def test_like_is_sqls(pattern, text):
    def fits(left, right):
        if not left:
            return not right
        if left[0] == "%":
            return any(fits(left[1:], right[start:]) for start in range(len(right) + 1))
        return bool(right) and (left[0] in {"_", right[0].lower()}) and fits(left[1:], right[1:])

    assert (perlre.like(pattern).search(text) is not None) == fits(pattern, text)
