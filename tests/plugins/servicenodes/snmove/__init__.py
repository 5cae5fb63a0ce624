"""Tests of snmove: planner, explanation, undo, command."""
