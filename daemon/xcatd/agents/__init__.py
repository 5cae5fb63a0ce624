"""The management node's end of the agent protocol."""
