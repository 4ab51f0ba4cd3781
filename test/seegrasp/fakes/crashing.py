"""Stands in for a node that a signal kills."""

import os
import signal


def main() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
