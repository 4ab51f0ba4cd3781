"""The process that talks to the robot: its start, and how its end is told.

Run as `python -m arm_control.drivers.streaming.session_process FD`; the first message on that pipe is the
`SessionSettings`.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.session import Session, SessionSettings, tell
from grasp_core.errors import ErrorCode, ExecutionError

_PRIORITY = 60  # of SCHED_FIFO, where the system allows it


def _real_time() -> bool:
    """Ask for real-time priority; whether the system grants it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError:
        return False
    return True


def _defect(settings: SessionSettings, error: Exception) -> m.Lost:
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return m.Lost(
        ErrorCode.CONTROLLER_UNAVAILABLE,
        f"the connection through {settings.link.library} was ended by a defect ({what}): its traceback is in this "
        "node's log",
    )


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver's process ends it, once the arm stands
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    settings: SessionSettings = pipe.recv()
    try:
        realtime = settings.realtime and _real_time()  # before the library makes its threads, which inherit it
        link = settings.link.connect()
        pipe.send(m.Connected(link.version, link.period, realtime))
        gc.collect()
        gc.freeze()
        gc.disable()  # the loop makes no cycles, and must not pause
        Session(link, pipe, settings).run()
    except ExecutionError as error:
        tell(pipe, m.Lost(error.code, str(error)))
    except Exception as error:  # no exception leaves the process below: it would never be seen
        traceback.print_exc()
        tell(pipe, _defect(settings, error))
    finally:
        pipe.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # the library's own threads could connect anew, or end the process with a signal


if __name__ == "__main__":
    main()
