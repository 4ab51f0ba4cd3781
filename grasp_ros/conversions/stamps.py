"""Stamps (integer nanoseconds inside the stack) and stage timings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builtin_interfaces.msg import Time
from seegrasp_msgs.msg import StageTiming

from grasp_core.errors import InputError

_S = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Nanoseconds since the epoch of the message's clock."""
    return stamp.sec * _S + stamp.nanosec


def ns_to_stamp(ns: int) -> Time:
    """`builtin_interfaces/Time` of integer nanoseconds; InputError when it does not fit (negative, beyond 2038)."""
    ns = int(ns)
    if not 0 <= ns < 2**31 * _S:
        raise InputError(f"stamp of {ns} ns does not fit builtin_interfaces/Time: expected 0 <= ns < 2^31 s")
    return Time(sec=ns // _S, nanosec=ns % _S)


def timings_to_msgs(timings: Mapping[str, float]) -> list[StageTiming]:
    """Stage name -> duration in ms, as messages in the mapping's order."""
    return [StageTiming(stage=stage, duration_ms=float(ms)) for stage, ms in timings.items()]


def timings_from_msgs(timings: Iterable[StageTiming]) -> dict[str, float]:
    """Stage name -> duration in ms; durations of a stage that occurs twice add up."""
    total: dict[str, float] = {}
    for timing in timings:
        total[timing.stage] = total.get(timing.stage, 0.0) + float(timing.duration_ms)
    return total
