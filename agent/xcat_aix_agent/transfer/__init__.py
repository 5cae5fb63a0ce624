"""Bytes between agents: tunnels through this one, and what one takes from another.  Knows no rights."""
