"""One process of a bringup: started in a group of its own, its output kept, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from seegrasp.bringup_config import NodePlan

_TAIL = 15
Sink = Callable[[str, str], None]  # node name, line


@dataclass(frozen=True)
class DeadNode:
    """A node that ended by itself: exit code (negative: the signal) and last log lines."""

    name: str
    code: int
    tail: str

    def __str__(self) -> str:
        how = f"exit code {self.code}" if self.code >= 0 else f"signal {signal.Signals(-self.code).name}"
        return f"node {self.name} ended with {how}; its last lines:\n{self.tail or '(it wrote nothing)'}"


class Process:
    """One node or program: process group of its own, output into a log file, the last lines kept."""

    def __init__(self, plan: NodePlan, log_dir: Path, sink: Sink | None) -> None:
        self.plan, self.log_dir, self.sink = plan, log_dir, sink
        self.asked_to_end = False
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        arguments = list(self.plan.arguments) or self.plan.ros_args(self._params_file())
        env = {**os.environ, "PYTHONUNBUFFERED": "1", "ROS_LOG_DIR": str(self.log_dir)}
        self.asked_to_end = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seegrasp.child", self.plan.module, *arguments],
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _params_file(self) -> str | None:
        if not self.plan.parameters:
            return None
        params = self.log_dir / f"{self.plan.name}.params.yaml"
        document = {"/**": {"ros__parameters": dict(self.plan.parameters)}}
        params.write_text(yaml.safe_dump(document), encoding="utf-8")
        return str(params)

    def _read(self, process: subprocess.Popen) -> None:
        with (self.log_dir / f"{self.plan.name}.log").open("a", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self.tail.append(line.rstrip("\n"))
                if self.sink is not None:
                    self.sink(self.plan.name, line.rstrip("\n"))

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # already gone
            os.killpg(self.process.pid, number)

    def ask_to_end(self) -> None:
        if self.alive():  # one that ended by itself stays dead, not stopped
            self.asked_to_end = True
            self.send(signal.SIGTERM)

    def finish(self, deadline: float) -> None:
        """Wait until the deadline (time.monotonic), then kill what is left of the group."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.send(signal.SIGKILL)  # a stuck node, or children of one that ended
        self.process.wait()
        self.process.stdin.close()
        self._reader.join(timeout=1.0)

    def dead(self) -> DeadNode | None:
        if self.process is None or self.asked_to_end or self.process.poll() is None:
            return None
        if self.plan.may_end and self.process.returncode == 0:
            return None
        self._reader.join(timeout=0.5)
        return DeadNode(self.plan.name, self.process.returncode, "\n".join(self.tail))
