"""Becomes another program that is told to end when whoever started it is gone: `python launch.py PARENT PROGRAM ARGUMENTS…`.

A process that is killed outright can end nothing itself, and a model server holds gigabytes. It is run as a file and imports
nothing of Arbiter [prctl(2), PR_SET_PDEATHSIG].
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM)) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # It may have gone before that was said.
    if os.getppid() != int(sys.argv[1]):
        sys.exit("whoever started this is gone")
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is the fleet file's own
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")
