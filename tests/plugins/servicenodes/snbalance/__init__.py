"""Balances: the split, the plan, the command."""
