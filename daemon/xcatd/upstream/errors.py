"""What can go wrong between this daemon and the one behind it.

Must not: do anything about it.
"""

from __future__ import annotations


class UpstreamError(Exception):
    """The command could not be passed on, or its replies ended too early; the text is for users.

    ``is_torn``: part of a document has reached the client already, so that nothing can follow it.
    """

    def __init__(self, text: str, *, is_torn: bool = False) -> None:
        super().__init__(text)
        self.is_torn = is_torn
