"""The commands on tables and their rows."""
