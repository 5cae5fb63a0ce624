"""Why nothing can be planned."""

from __future__ import annotations


class RefusalError(Exception):
    """There is no plan; ``messages`` say why, one line each.  Nothing was changed."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages
