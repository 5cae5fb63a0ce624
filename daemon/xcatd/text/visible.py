"""Characters that do more than stand for themselves, spelled out.

Must not: be slow to import, clients need it.
"""

from __future__ import annotations

import re

_CLASS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"

#: What commands a terminal, or turns the order of what it shows around: C0 but TAB and LF, DEL, C1, bidirectional
#: controls, line separators, and halves of characters.
UNSAFE = re.compile(f"[{_CLASS}]")

#: The same with TAB, LF and the mark that looks like nothing: what does not show itself in one line.
HIDDEN = re.compile(f"[\t\n\ufeff{_CLASS}]")


def visible(text: str) -> str:
    """One line that shows what is in the text, a line end or an escape spelled as in Python."""
    if text.isprintable():
        return text
    return HIDDEN.sub(lambda found: repr(found[0])[1:-1], text)
