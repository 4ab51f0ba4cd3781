"""Serial numbers of cameras, as their drivers tell them in /diagnostics."""

from __future__ import annotations

import re

from diagnostic_msgs.msg import DiagnosticArray

_SERIAL = re.compile(r"\d{8,}")  # of a RealSense
_KEYS = ("serial", "serial_number")


def serials_in(msg: DiagnosticArray, namespace: str) -> set[str]:
    """Those in statuses whose names contain the camera's namespace: as hardware_id, or as a value."""
    found = set()
    for status in msg.status:
        if namespace in status.name:
            told = [status.hardware_id, *(v.value for v in status.values if v.key in _KEYS)]
            found.update(text for text in told if _SERIAL.fullmatch(text))
    return found
