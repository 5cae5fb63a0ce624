"""Planners of the object commands: what a definition becomes, as rows."""
