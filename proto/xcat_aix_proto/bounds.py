"""How much of a text is taken from the other end, and that it can be shown without harm.

A longer text is cut and says how long it was, so that a talkative command costs the rest of its words and
not the step.  Control characters (ESC begins a command to a terminal) become visible.  Pure.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple

#: Upper bounds, in characters: of one text (a message, a line of a job's story, a fact); of the further
#: text of an error, such as the output of a command; of what an operation returns (as JSON).
MAX_TEXT = 4096
MAX_DETAIL = 64 * 1024
MAX_RESULT = 64 * 1024

#: Upper bounds of one job's story: events, and characters in all of them together.
MAX_EVENTS = 10_000
MAX_STORY = 2 * 1024 * 1024

#: Characters that only lay text out; they stay where a text may have several lines.
_LAYOUT = "\n\t"

#: Fields with a bound or a form of their own: (characters, may have several lines).
_FIELDS: Mapping[str, Tuple[int, bool]] = {
    "detail": (MAX_DETAIL, True),
    "message": (MAX_TEXT, False),
    "text": (MAX_TEXT, False),
}
_OTHERS = (MAX_TEXT, True)


def cut(text: str, limit: int) -> str:
    """``text``, or its beginning and how many characters there were, in ``limit`` characters together."""
    return text if len(text) <= limit else _cut(text, limit, len(text))


def _cut(text: str, limit: int, size: int) -> str:
    mark = f"… ({size} characters)"
    return text[: max(0, limit - len(mark))] + mark


def line(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` as one bounded line without control characters: line ends become blanks."""
    return _harmless(text.replace("\n", " "), limit, "")


def block(text: str, limit: int = MAX_DETAIL) -> str:
    """``text`` bounded and without control characters but line ends and tabs."""
    return _harmless(text, limit, _LAYOUT)


def _harmless(text: str, limit: int, kept: str) -> str:
    shown = text[:limit]  # the rest of a huge text is not looked at
    if not shown.isprintable():
        shown = visible(shown, kept)
    return shown if len(shown) <= limit and len(text) <= limit else _cut(shown, limit, len(text))


def visible(text: str, kept: str = "") -> str:
    r"""``text`` with every character that cannot be printed, but those ``kept``, as ``\x1b``."""
    return "".join(char if char.isprintable() or char in kept else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def bounded(data: Any, field: str = "") -> Any:
    """Plain data from the other end with every text in it bounded, names of fields as well."""
    kind = type(data)
    if kind is str:
        return _text(data, field)
    if kind is list:
        return [bounded(item, field) for item in data]
    if kind is dict:
        return {line(name): bounded(value, name) for name, value in data.items()}
    return data


def _text(text: str, field: str) -> str:
    # Nearly all texts are short and plain: that is seen first.
    if len(text) <= MAX_TEXT and text.isprintable():
        return text
    limit, has_lines = _FIELDS.get(field, _OTHERS)
    return block(text, limit) if has_lines else line(text, limit)


def result(data: Mapping[str, Any]) -> Dict[str, Any]:
    """What an operation returned, if it is of a sane size; else only how much there was."""
    size = len(json.dumps(data))
    return dict(data) if size <= MAX_RESULT else {"left_out": f"a result of {size} characters"}


class Story:
    """What one job tells, up to :data:`MAX_EVENTS` lines and :data:`MAX_STORY` characters; then one last line."""

    def __init__(self) -> None:
        self._events = 0
        self._characters = 0

    def told(self, texts: Iterable[str]) -> Iterator[str]:
        """Those of the next ``texts`` that are still within the bounds, each bounded."""
        for text in texts:
            if self._events > MAX_EVENTS:
                return
            short = line(text)
            self._events += 1
            self._characters += len(short)
            if self._events > MAX_EVENTS or self._characters > MAX_STORY:
                self._events = MAX_EVENTS + 1
                yield "no more of what this job tells is kept"
            else:
                yield short
