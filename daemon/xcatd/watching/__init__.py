"""Watchers: the second shape of plugins.  They look at an interval and tell notices; they never act.

Owns: when each looks, on which of several daemons, for how long; and the notices, for people.
"""
