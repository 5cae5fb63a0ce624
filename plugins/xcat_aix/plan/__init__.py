"""Planners: pure functions from a request and what was read to a plan."""
