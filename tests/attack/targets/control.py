"""Does whatever it is told to, so that a test can see that each kind of accident is found."""

from __future__ import annotations

import os
import re
import time

from tests.attack.meter import MIB, Bounds, Complaint
from tests.attack.targets import Target


class DeclaredError(ValueError):
    """An answer like any other."""


class Control(Target):
    """The input is a word."""

    allowed = (DeclaredError,)
    bounds = Bounds(seconds=0.5, memory=32 * MIB)
    seeds = (b"fine",)

    def run(self, data: bytes) -> None:
        match data:
            case b"declared":
                raise DeclaredError("as documented")
            case b"crash":
                raise KeyError("not as documented")
            case b"complain":
                raise Complaint("something does not hold")
            case b"deep":
                self.run(data)
            case b"grow":
                bytearray(b"x" * (64 * MIB))
            case b"slow":
                limit = time.process_time() + 0.6
                while time.process_time() < limit:
                    pass
            case b"hang":  # in C code, with the interpreter's lock held
                re.match("(a+)+$", "a" * 64 + "!")
            case b"wait":
                time.sleep(60)
            case b"die":
                os.abort()


TARGET = Control
