"""The porch of every planned command: how, agents, doing, telling, and the plans in the journal.

A command hands in its plan and its own words; dry run, JSON, journal, listing, resuming, undo and the rest come from here.
"""
