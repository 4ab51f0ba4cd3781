"""Stands in for a node: says its arguments and runs until it is told to end."""

import signal
import sys
import time


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", *sys.argv)
    while True:
        time.sleep(0.05)
