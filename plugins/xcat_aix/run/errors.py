"""What can go wrong with plans and steps, by who must know it.

Raised by step handlers: :class:`StepFailed`, :class:`Unreachable`, :class:`StepLost`.  Shown to the user by a
command: every :class:`RunError`; its message is complete and says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

#: How many nodes a message names.
SHOWN = 5

#: Longest text that is repeated as the id of a plan, in characters.
LONGEST_ID = 60


def named(nodes: Sequence[str]) -> str:
    """The first nodes, and how many more there are."""
    shown = ", ".join(nodes[:SHOWN])
    return shown + (f" and {len(nodes) - SHOWN} more" if len(nodes) > SHOWN else "")


class StepFailed(Exception):
    """The step's effect is known not to be there; ``message`` is one line without the node's name."""

    def __init__(self, message: str, detail: str = "", code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.code = code


class StepRefused(StepFailed):
    """The other end did not begin it: nothing of it was done."""


class Unreachable(StepRefused):
    """Nobody could be connected, so nothing was sent."""


class StepLost(StepFailed):
    """The line was lost or time was up while the effect may be going on: only a probe can tell."""


class RunError(Exception):
    """Base of what a command tells its user; the message is complete."""


def _quoted(text: str) -> str:
    """What a user typed for an id, on one line of bounded length."""
    if text.isprintable() and text == text.strip() and len(text) <= LONGEST_ID:
        return text
    return repr(text if len(text) <= LONGEST_ID else f"{text[:LONGEST_ID]}...")


class Overlap(RunError):
    """An open plan works on some of the same nodes."""

    def __init__(self, plan_id: str, nodes: Sequence[str], *, is_running: bool) -> None:
        self.plan_id = plan_id
        self.nodes = tuple(nodes)
        self.is_running = is_running
        state = "is working on" if is_running else "was interrupted while working on"
        advice = "wait for it"
        if not is_running:
            advice = f"resume it or undo it first, or give it up: plans --abandon {plan_id}"
        super().__init__(f"cannot start: {plan_id} {state} {named(self.nodes)}; {advice}")


class UnknownPlan(RunError):
    """The journal has no plan with this id."""

    def __init__(self, plan_id: str) -> None:
        super().__init__(f"cannot find {_quoted(plan_id)} in the journal")


class StillRunning(RunError):
    """Somebody holds the plan."""

    def __init__(self, plan_id: str, owner: str, until: str = "") -> None:
        super().__init__(
            f"cannot take over {plan_id}: it is being worked on by {owner}; wait for it, or interrupt its command"
            + (f" (its claim runs until {until} unless renewed)" if until else "")
        )


class NothingToResume(RunError):
    """The plan is closed for good; the message says how."""


class NotClosed(RunError):
    """The plan is still to be finished, undone or given up."""


class Parked(RunError):
    """This program cannot execute the stored plan.  Nothing was changed; by name the plan can be given up.

    One that ``is_over`` keeps its nodes from nobody, and can be forgotten.
    """

    def __init__(self, plan_id: str, reason: str, *, is_over: bool = False) -> None:
        self.reason = reason
        advice = f"plans --abandon {plan_id} gives it up and lets its nodes go"
        if is_over:
            advice = f"plans --forget {plan_id} takes it out of the journal"
        super().__init__(f"cannot execute {plan_id}: {reason} ({advice})")


class LeaseLost(RunError):
    """Somebody else has taken the plan over: whoever gets this must stop at once."""

    def __init__(self, plan_id: str) -> None:
        super().__init__(f"cannot go on with {plan_id}: it was taken over by somebody else")
