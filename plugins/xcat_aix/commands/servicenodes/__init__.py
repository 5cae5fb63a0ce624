"""The commands that give nodes another service node: snmove, snbalance."""
