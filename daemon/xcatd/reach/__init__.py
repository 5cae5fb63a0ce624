"""The daemon's ways to machines that have no agent: ssh, and names by DNS.

Plugins get them with their context; :mod:`xcatd.testing` has doubles.
"""
