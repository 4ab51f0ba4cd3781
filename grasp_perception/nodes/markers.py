"""Grasps drawn for RViz and Foxglove: one line list, gripper-shaped, coloured by score."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core import se3
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_ros.conversions import ns_to_stamp

_LINE_WIDTH = 0.002
_STEM = 0.04


def gripper_lines(grasps: Grasps, gripper: Gripper) -> NDArray[np.float64]:
    """(N, 8, 3) end points of four segments each: left finger, right finger, palm, stem; frame of the grasps."""
    half = grasps.width.astype(np.float64) / 2.0
    zero, back = np.zeros_like(half), np.full_like(half, -gripper.finger.length)
    left_tip, right_tip = np.stack([-half, zero, zero], 1), np.stack([half, zero, zero], 1)
    left, right = np.stack([-half, zero, back], 1), np.stack([half, zero, back], 1)
    palm, stem = np.stack([zero, zero, back], 1), np.stack([zero, zero, back - _STEM], 1)
    local = np.stack([left_tip, left, right_tip, right, left, right, palm, stem], axis=1)
    return np.stack([se3.transform(T, p) for T, p in zip(grasps.matrices(), local, strict=True)]).reshape(-1, 8, 3)


def grasp_markers(grasps: Grasps, gripper: Gripper, frame: str, stamp_ns: int, limit: int = 50) -> MarkerArray:
    """A MarkerArray that replaces the one before; red is score 0, green is 1. No grasps: deletes what is shown."""
    marker = Marker(ns="grasps", id=0, type=Marker.LINE_LIST, action=Marker.ADD)
    marker.header.frame_id = frame
    marker.header.stamp = ns_to_stamp(stamp_ns)
    shown = grasps.sorted()[:limit]
    if len(shown) == 0:
        marker.action = Marker.DELETE
        return MarkerArray(markers=[marker])
    marker.pose.orientation.w = 1.0
    marker.scale.x = _LINE_WIDTH
    for ends, score in zip(gripper_lines(shown, gripper).tolist(), shown.score.tolist(), strict=True):
        color = ColorRGBA(r=1.0 - score, g=score, b=0.1, a=0.9)
        marker.points.extend(Point(x=x, y=y, z=z) for x, y, z in ends)
        marker.colors.extend([color] * len(ends))
    return MarkerArray(markers=[marker])
