"""Benchmarks: figures of whole commands through the real wire, printed as medians (``make bench``).

Nothing here is a test: a slow machine prints larger figures, it does not fail.
"""
