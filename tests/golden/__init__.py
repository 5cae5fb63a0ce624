"""The golden harness: recorded or expected behaviour in files, and what our programs make of the same.

``python -m tests.golden FILE`` runs recorded runs of the NIM commands (see README.md here); ``python -m tests.golden
--rewrite planners`` writes expectations anew.
"""
