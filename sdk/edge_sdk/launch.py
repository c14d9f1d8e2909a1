"""Becomes another program that ends when its parent ends.

Run as a script by `children.py`: `python -I -S launch.py PARENT-PID PROGRAM ARGUMENT...`. It imports nothing of ours:
it costs some milliseconds only.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def main() -> None:
    """Set what survives exec, then exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(0)  # the parent ended before the line above could see it
    try:
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the list comes from our own parent
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")


main()
