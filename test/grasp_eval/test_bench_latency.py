"""Arithmetic of the latency benchmark."""

import math

import pytest

from grasp_eval.bench_latency import Stream, summarise, table

MS = 1_000_000


def stream(*arrivals):
    return Stream("topic", {stamp * MS: (ros * MS, steady * MS) for stamp, ros, steady in arrivals})


def test_latencies_and_drops():
    depth = stream(*((s, s + 10, s + 1010) for s in range(0, 700, 100)))
    cloud = stream(*((s, s + 50, s + 1040) for s in (100, 200, 400, 500)))
    result = summarise({"depth": depth, "cloud": cloud, "grasps": stream()}, 1.0)
    assert result["cloud_from_stamp_ms"]["p50"] == pytest.approx(50.0)
    assert result["cloud_from_arrival_ms"]["p95"] == pytest.approx(30.0)
    assert (result["clouds_dropped"], result["depth_images"]) == (1, 5)  # 300; before and after do not count
    assert math.isnan(result["grasps_from_stamp_ms"]["p50"])
    assert "dropped: 1 of 5" in table(result)


def test_nothing_arrived():
    result = summarise({"depth": stream((0, 1, 1)), "cloud": stream(), "grasps": stream()}, 1.0)
    assert (result["clouds_dropped"], result["depth_images"]) == (1, 1)
