"""Planners that give nodes another service node."""
