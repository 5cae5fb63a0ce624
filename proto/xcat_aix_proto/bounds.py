"""How much is taken from the other end, and that it can be shown without harm.

A message with too many values, or nested too deep, is none (:func:`parsed`).  A longer text is cut and says
how long it was, so that a talkative command costs the rest of its words and not the step.  Control
characters (ESC begins a command to a terminal) become visible.  Pure.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NoReturn, Tuple, Union

#: Upper bounds, in characters: of one text (a message, a line of a job's story, a fact); of the further
#: text of an error, such as the output of a command; of what an operation returns (as JSON).
MAX_TEXT = 4096
MAX_DETAIL = 64 * 1024
MAX_RESULT = 64 * 1024

#: Upper bounds of one job's story: events, and characters in all of them together.
MAX_EVENTS = 10_000
MAX_STORY = 2 * 1024 * 1024

#: Upper bounds of a message beside its bytes: how deep lists and objects may be nested, digits of a whole
#: number, and values in a request (of an answer see :data:`.messages.ANSWERS`).
MAX_DEPTH = 40
MAX_DIGITS = 40
MAX_VALUES = 100_000

_CONTAINERS = frozenset({list, dict})

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


def parsed(data: Union[bytes, bytearray, memoryview], most: int = MAX_VALUES) -> Any:
    """The JSON data in a message of at most ``most`` values; raises :class:`ValueError` for any other.

    Counted before it is read: an empty list takes two bytes in the message and thirty times that here.
    """
    text = bytes(data)
    _check_values(text, most)
    try:
        read = json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    _check_depth(read)
    return read


def _check_values(text: bytes, most: int) -> None:
    if _begun(text, 0, len(text)) > most and _values(text, most) > most:
        raise ValueError(f"it has more than {most} values")


def _begun(text: bytes, first: int, last: int) -> int:
    """How many values begin in a part of a message, at most: after a comma or a bracket."""
    return sum(text.count(sign, first, last) for sign in (b",", b"[", b"{"))


def _values(text: bytes, most: int) -> int:
    """How many values a message has; commas and brackets within texts are none.  Ends beyond ``most``."""
    text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    count, texts, place = 1, 0, 0
    # Of an object's member two texts may be there, so many without values between them are no JSON.
    while count <= most and texts <= 2 * most + 1:
        quote = text.find(b'"', place)
        count += _begun(text, place, quote if quote >= 0 else len(text))
        end = text.find(b'"', quote + 1) if quote >= 0 else -1
        if end < 0:
            return count
        texts, place = texts + 1, end + 1
    return most + 1


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"it has a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _no_number(text)
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{cut(text, 20)} is no number")


def _check_depth(data: Any) -> None:
    level: List[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [item for each in level for item in _inner(each)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _inner(data: Any) -> List[Any]:
    """The lists and objects in a list or an object."""
    if type(data) is dict:
        data = data.values()
    elif type(data) is not list:
        return []
    return [item for item in data if type(item) in _CONTAINERS]


def bounded(data: Any, field: str = "") -> Any:
    """Plain data from the other end with every text in it bounded, names of fields as well.

    Lists and objects are changed, not copied: of a large answer there is one, not two.
    """
    kind = type(data)
    if kind is str:
        return _text(data, field)
    if kind is list:
        for place, item in enumerate(data):
            data[place] = bounded(item, field)
    elif kind is dict:
        _bound_fields(data)
    return data


def _bound_fields(data: Dict[str, Any]) -> None:
    for name, value in list(data.items()):
        short = line(name)
        if short != name:
            del data[name]
        data[short] = bounded(value, name)


def _text(text: str, field: str) -> str:
    # Nearly all texts are short and plain: that is seen first.
    if len(text) <= MAX_TEXT and text.isprintable():
        return text
    limit, has_lines = _FIELDS.get(field, _OTHERS)
    return block(text, limit) if has_lines else line(text, limit)


def result(data: Mapping[str, Any], limit: int = MAX_RESULT) -> Dict[str, Any]:
    """What an operation returned, if it is of a sane size; else only how much there was."""
    size = len(json.dumps(data))
    return dict(data) if size <= limit else {"left_out": f"a result of {size} characters"}


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
