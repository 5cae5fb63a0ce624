"""What can be the name of a user, wherever it comes from: a certificate, a login, a row of a table.

Must not: know where it came from.
"""

from __future__ import annotations

#: X.520's upper bound of a common name, in characters.
LONGEST = 64


class UserNameError(ValueError):
    """What was given cannot be a user's name; the message shows it safely."""


def is_user_name(text: str) -> bool:
    """Printable, of bounded length, without a slash: OpenSSL's one-line form of a subject separates by it.

    So nobody is another user in somebody else's reading of the name, nor in a log.
    """
    return (
        0 < len(text) <= LONGEST and text.isprintable() and "/" not in text and text == text.strip()
    )
