"""Rows of any table: changed by their keys, put back from CSV lines."""
