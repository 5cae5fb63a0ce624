"""The program behind the simulated commands: ``executable.py <lab>/nodes/<node>/bin/<command> …``.

The path it is called by says which node it runs on.  Started with ``-I -S``: no site packages, and
only the modules that the one command needs.
"""

from __future__ import annotations

import os
import sys
import time


def main(argv: list[str]) -> int:
    """Run ``argv`` and hand on its output and exit code."""
    # The directory above the package: `-I` leaves only the standard library on the path.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from xcat_aix_lab.sim import execute, store  # noqa: PLC0415  (after the path is known)

    nodes, node = os.path.split(os.path.dirname(os.path.dirname(argv[0])))
    state = store.DirectoryStore(os.path.dirname(nodes))
    try:
        result = execute.execute(argv, node, state, time.sleep)
    except execute.NotInstalled:
        sys.stderr.write(f"ksh: {os.path.basename(argv[0])}:  not found.\n")
        return 127
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.rc


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
