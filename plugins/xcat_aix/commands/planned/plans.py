"""plans: whatever is in the journal, listed, shown, resumed, taken back, given up or forgotten.

Owns: the command's page.  What it does every planned command does with its own plans: :mod:`.verbs`.
"""

from __future__ import annotations

from xcat_aix.commands.options import Arguments
from xcatd.api import Request

from . import verbs
from .command import HELP, PLANNING, VERBOSE, VERBS, VERSION, PlannedCommand
from .how import verb_forms
from .page import Page


class Plans(PlannedCommand):
    """The plugin.  Without a verb it lists."""

    lists_all = True
    page = Page(
        "plans",
        "list, show, resume, undo, give up and forget what is in the journal",
        (
            "[--list] [--json]",
            *verb_forms("PLAN"),
            "-h|--help | -v|--version",
        ),
        (("Verbs", VERBS), ("Options", (VERBOSE, *PLANNING, HELP, VERSION))),
    )

    def parsed(self, request: Request) -> Arguments:
        """Read the command line; raises :class:`.how.UsageError`."""
        arguments = super().parsed(request)
        if verbs.is_asked_about(arguments) or verbs.verb_of(arguments) is not None:
            return arguments
        listing = Arguments(arguments.operands, {**arguments.options, "list": ("",)})
        verbs.check(listing, self.page)
        return listing
