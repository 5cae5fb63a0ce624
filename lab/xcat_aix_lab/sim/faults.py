"""What is broken on request: rules of one node that the commands there obey."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

FAIL, SLOW, HANG = "fail", "slow", "hang"
#: A hung command gives up after this many seconds, so that a forgotten fault holds nobody for ever.
HANG_SECONDS = 3600.0
_RULE = ("command", "operation", "action", "seconds", "number", "text", "times", "word")
#: Behaviour that differs between AIX levels or that no source settles, with the default taken.
QUIRKS = {
    "z_drops_empty": True,  # `lsnim -Z` leaves attributes without a value out of the row
    "remove_deletes_niminfo": True,  # `nim -o remove` of a client that answers
    "rebuild_over_niminfo": True,  # `niminit` in the rebuild form over an existing /etc/niminfo
}


class Fault:
    """One fault.  ``command`` ``*`` is any, ``operation`` None is any, ``times`` None is for ever.

    ``word`` must stand on the command line, for instance an object's name; None is any.
    """

    __slots__ = _RULE

    def __init__(
        self,
        command: str,
        action: str,
        *,
        operation: str | None = None,
        seconds: float = 0.0,
        number: int = 0,
        text: str = "",
        times: int | None = None,
        word: str | None = None,
    ) -> None:
        self.command = command
        self.action = action
        self.operation = operation
        self.seconds = seconds
        self.number = number
        self.text = text
        self.times = times
        self.word = word

    def matches(self, command: str, operation: str | None, words: Collection[str] = ()) -> bool:
        """Tell whether this rule is for a command (and its ``-o`` operation) with these words."""
        is_meant = self.command in ("*", command) and self.operation in (None, operation)
        return is_meant and (self.word is None or self.word in words)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the keys are the parameters of the constructor."""
        return {field: getattr(self, field) for field in _RULE}


class Faults:
    """All that is broken on one node."""

    __slots__ = ("disk_full", "down", "quirks", "rules")

    def __init__(
        self,
        *,
        down: bool = False,
        disk_full: bool = False,
        rules: list[Fault] | None = None,
        quirks: dict[str, bool] | None = None,
    ) -> None:
        self.down = down
        self.disk_full = disk_full
        self.rules = rules or []
        self.quirks = quirks or {}

    def copy(self) -> Faults:
        """An independent copy."""
        return (
            Faults.from_json(self.to_json())
            if self.rules or self.quirks
            else Faults(down=self.down, disk_full=self.disk_full)
        )

    def quirk(self, name: str) -> bool:
        """How this node behaves where sources differ."""
        return self.quirks.get(name, QUIRKS[name])

    def take(
        self, command: str, operation: str | None, words: Collection[str] = ()
    ) -> Fault | None:
        """The first rule that matches; a rule with a number of times is used up by this."""
        for rule in self.rules:
            if rule.matches(command, operation, words):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data for :meth:`from_json`."""
        return {
            "down": self.down,
            "disk_full": self.disk_full,
            "rules": [rule.to_json() for rule in self.rules],
            "quirks": dict(self.quirks),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Faults:
        """The inverse of :meth:`to_json`."""
        rules = [Fault(**rule) for rule in data["rules"]]
        return cls(**{**data, "rules": rules})
