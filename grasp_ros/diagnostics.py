"""What a node tells about itself: rates, ages and drops on /diagnostics once a second of steady time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from grasp_ros import qos

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE
_LOOKS = 4  # at the reports, for one publication


@dataclass
class Report:
    """One status: level (OK, WARN, ERROR, STALE), a message that says what to do, and values."""

    level: bytes = OK
    message: str = "ok"
    values: Mapping[str, Any] = field(default_factory=dict)

    def worse(self, level: bytes, message: str) -> None:
        """Raise the level and add the message; that of the worst level comes first."""
        said = [] if self.level == OK else [self.message]
        self.message = "; ".join([message, *said] if level > self.level else [*said, message])
        self.level = max(self.level, level)


class Diagnostics:
    """Publishes a node's reports on /diagnostics at 1 Hz of steady time, also while ROS time stands still.

    A status that gets better or worse is published a quarter of that time later at the latest.
    """

    def __init__(self, node: Node, period_s: float = 1.0) -> None:
        self._node, self._period = node, period_s
        self._sources: dict[str, Callable[[], Report]] = {}
        self._levels: list[bytes] = []
        self._last = -float("inf")
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period_s / _LOOKS, self._look, clock=steady)

    def add(self, name: str, source: Callable[[], Report], hardware_id: str = "") -> None:
        """Ask `source` for a report again and again; shown as '<node>: <name>'."""
        self._sources[f"{self._node.get_name()}: {name}|{hardware_id}"] = source

    def _look(self) -> None:
        statuses = [self._status(key, source()) for key, source in self._sources.items()]
        levels, now = [status.level for status in statuses], time.monotonic()
        if levels == self._levels and now - self._last < self._period * (1 - 0.5 / _LOOKS):
            return
        self._levels, self._last = levels, now
        msg = DiagnosticArray(status=statuses)
        msg.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(msg)

    @staticmethod
    def _status(key: str, report: Report) -> DiagnosticStatus:
        name, _, hardware_id = key.rpartition("|")
        values = [KeyValue(key=str(k), value=_text(v)) for k, v in report.values.items()]
        return DiagnosticStatus(
            level=report.level, name=name, message=report.message, hardware_id=hardware_id, values=values
        )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class RateMeter:
    """Events per second over the last `window_s` of steady time; thread-safe."""

    def __init__(self, window_s: float = 3.0) -> None:
        self._window = window_s
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self.total = 0

    def tick(self) -> None:
        """Count one event now."""
        with self._lock:
            self.total += 1
            self._times.append(time.monotonic())
            self._trim()

    def rate(self) -> float:
        """Hz over the window (over the time since the start while that is shorter)."""
        with self._lock:
            self._trim()
            return len(self._times) / max(min(self._window, time.monotonic() - self._start), 0.1)

    def idle_s(self) -> float:
        """Seconds since the last event (since the start when there was none)."""
        with self._lock:
            return time.monotonic() - (self._times[-1] if self._times else self._start)

    def _trim(self) -> None:
        oldest = time.monotonic() - self._window
        while len(self._times) > 1 and self._times[0] < oldest:
            self._times.popleft()


@dataclass
class _Fault:
    level: bytes
    message: str
    count: int
    last: float


class Faults:
    """Counts rejected inputs by reason and remembers what was said last, to be logged throttled and reported."""

    def __init__(self, node: Node, recent_s: float = 3.0, throttle_s: float = 2.0) -> None:
        self._log = node.get_logger()
        self._recent = recent_s
        self._throttle = throttle_s
        self._faults: dict[str, _Fault] = {}
        self._logged: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, reason: str, level: bytes, message: str) -> None:
        """Count one fault; its message goes to the log, at most once in `throttle_s` for each reason."""
        now = time.monotonic()
        with self._lock:
            count = self._faults[reason].count + 1 if reason in self._faults else 1
            self._faults[reason] = _Fault(level, message, count, now)
            due = now - self._logged.get(reason, -1e9) >= self._throttle
            if due:
                self._logged[reason] = now
        if due:
            text = f"{reason} ({count} so far): {message}"
            if level == ERROR:
                self._log.error(text)
            else:
                self._log.warning(text)

    def counts(self) -> dict[str, int]:
        """Reason -> how often, since the start."""
        with self._lock:
            return {reason: fault.count for reason, fault in self._faults.items()}

    def apply(self, report: Report) -> None:
        """Raise the report's level for every fault of the last `recent_s` seconds."""
        now = time.monotonic()
        with self._lock:
            for reason, fault in self._faults.items():
                if now - fault.last <= self._recent:
                    report.worse(fault.level, f"{reason}: {fault.message}")
