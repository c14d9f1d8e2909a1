"""Becomes another program that ends when its parent ends, with a limit on its memory if one is given.

Run as a script by `children.py`: `python -I launch.py BYTES|- PROGRAM ARGUMENT...`. It imports nothing of ours, so that
it costs some milliseconds only.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def main() -> None:
    """Set what survives exec, then exec."""
    parent = int(sys.argv[1])
    limit = sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)  # the parent ended before the line above could see it
    if limit != "-":
        # private writable memory (heap, anonymous maps): what a program needs, not the address space it reserves
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the list comes from our own parent


main()
