"""Stands in for a node that ignores SIGTERM and has a child."""

import signal
import subprocess
import sys
import time


def main() -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("child", child.pid)
    while True:
        time.sleep(0.05)
