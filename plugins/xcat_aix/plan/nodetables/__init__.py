"""Planners of nodech, nodeadd and noderm: what becomes of nodes' rows."""
