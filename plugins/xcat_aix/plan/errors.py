"""What makes a plan impossible, for the user."""

from __future__ import annotations


class PlanError(Exception):
    """There is no such plan; ``messages`` say why, one line each.  Nothing was changed."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages
