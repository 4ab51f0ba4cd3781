"""A node's process, as `seegrasp.bringup` starts it: `python -m seegrasp.child <module> [arguments]`.

Standard input is a pipe that the parent holds open and never writes to. When the parent is gone, for whatever reason,
the pipe ends, and this process and all that it started end too: no orphans, even after `kill -9` of the parent.
(PR_SET_PDEATHSIG does not do: it fires when the parent's starting thread ends.)
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time

GRACE_S = 3.0


def _end_with_parent(fd: int) -> None:
    while os.read(fd, 64):
        continue
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> int:
    """Run `module.main()` with the other arguments; returns its exit code."""
    _, module, *args = sys.argv
    watched = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    threading.Thread(target=_end_with_parent, args=(watched,), name="parent watch", daemon=True).start()
    sys.argv = [module.rsplit(".", 1)[-1], *args]
    return int(importlib.import_module(module).main() or 0)


if __name__ == "__main__":
    sys.exit(main())
