"""Hostile input by the thousand, made from a seed: nothing may crash, leak a trace, or cost without bound.

``make attack SEED=1 COUNT=10000`` or ``python -m tests.attack --help``.  An input is named by seed, target and
index, and is the same everywhere; ``corpus/TARGET/`` keeps inputs that once found something.

``mutators`` and ``grammars`` make inputs, ``targets`` take them, ``meter`` holds the bounds, ``child`` tries
inputs one after the other in a process of its own, and ``campaign`` watches over the children, so that even a
loop in C code is a finding and not the end of the run.
"""
