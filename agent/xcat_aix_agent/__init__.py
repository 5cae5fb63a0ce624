"""The program on each AIX service node and diskful compute node: listens, runs NIM, keeps jobs.

Python 3.9, standard library and Pyro5 only (psutil is used where it is installed).
"""

from __future__ import annotations

__version__ = "0.1.0"
