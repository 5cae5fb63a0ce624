"""The words of kinds that tests make up."""

from __future__ import annotations

from xcat_aix.plan.kinds import NoReverse
from xcat_aix.plan.model import Step


class Worded:
    """Base of such a kind."""

    reverse = NoReverse("nobody takes a test back")

    def title(self, step: Step) -> str:
        return step.id
