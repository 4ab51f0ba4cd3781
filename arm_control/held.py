"""What the gripper holds, estimated from the cloud that the grasp was found in."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from arm_control.planning import HeldObject
from grasp_core import se3
from grasp_core.gripper import Gripper

_REACH = np.array([0.06, 0.08, 0.12])  # m from the grasp frame's origin that an object may extend along x, y, z
_GAP = 0.012  # m between neighbouring points of one object
_PADDING = 0.005  # m added on every side
_SUPPORT_RADIUS = 0.10  # m around the grasp where the surface that the object stands on is looked for
_SUPPORT_PERCENTILE = 5.0


def estimate_held(
    points: np.ndarray, T_base_tcp: np.ndarray, width: float, gripper: Gripper, floor: float
) -> HeldObject:
    """A box around the object between the fingers, aligned with the grasp frame, m.

    The object is what is connected in the cloud to the points between the fingers, no further than 6, 8 and 12 cm from
    the fingertips along x, y and z, and everything below it down to the surface around it (at the lowest `floor`):
    a camera above does not see the sides. Neighbours that touch the object may be taken in; too large is the safe side.

    Args:
        points: (N, 3) m in the base frame: the cloud in which the object still stood in its place.
        T_base_tcp: grasp frame at closing, 4x4.
        width: opening of the gripper around the object, m.
        floor: height of the surface that the objects stand on, m in the base frame.
    """
    T_tcp_base = se3.inverse(T_base_tcp)
    points = np.asarray(points, np.float64).reshape(-1, 3)
    local = se3.transform(T_tcp_base, points)
    near = np.abs(local) <= _REACH
    near[:, 2] &= local[:, 2] >= -gripper.finger.length
    local = local[near.all(axis=1)]
    seed = _between_fingers(local, width, gripper)
    corners = _fingertip_corners(width, gripper)
    if seed.any():
        part = local[_connected(local, seed)]
        bottom = support_height(points, T_base_tcp[:3, 3], floor)
        below = se3.transform(T_base_tcp, part)
        below[:, 2] = np.minimum(below[:, 2], bottom)
        corners = np.concatenate([corners, part, se3.transform(T_tcp_base, below)])
    low = np.maximum(corners.min(axis=0), [-_REACH[0], -_REACH[1], -gripper.finger.length]) - _PADDING
    high = np.minimum(corners.max(axis=0), _REACH) + _PADDING
    return HeldObject(centre=(low + high) / 2.0, size=high - low)


def minimal_held(width: float, gripper: Gripper) -> HeldObject:
    """Only what must be there: the space between the pads."""
    corners = _fingertip_corners(width, gripper)
    return HeldObject(centre=corners.mean(axis=0), size=corners.max(axis=0) - corners.min(axis=0))


def largest_held(gripper: Gripper) -> HeldObject:
    """The largest that `estimate_held` can tell: for when nothing is known."""
    low, high = np.array([-_REACH[0], -_REACH[1], -gripper.finger.length]), _REACH
    return HeldObject(centre=(low + high) / 2.0, size=high - low)


def support_height(points: np.ndarray, centre: np.ndarray, floor: float) -> float:
    """Height of the lowest surface seen around `centre` (3,), not below `floor`; `floor` when nothing is seen."""
    around = np.linalg.norm(points[:, :2] - centre[:2], axis=1) < _SUPPORT_RADIUS
    if not around.any():
        return floor
    return max(float(np.percentile(points[around, 2], _SUPPORT_PERCENTILE)), floor)


def extent_below(held: HeldObject) -> float:
    """How far the object reaches beyond the fingertips along the approach, m (never negative)."""
    return max(float(held.centre[2] + held.size[2] / 2.0), 0.0)


def _fingertip_corners(width: float, gripper: Gripper) -> np.ndarray:
    x, y = max(width, 0.002) / 2.0, gripper.finger.width / 2.0
    return np.array([[-x, -y, -gripper.pad_height], [x, y, 0.0]])


def _between_fingers(local: np.ndarray, width: float, gripper: Gripper) -> np.ndarray:
    half = np.array([width / 2.0 + 0.01, gripper.finger.width / 2.0 + 0.005])
    inside = (np.abs(local[:, :2]) <= half).all(axis=1)
    return inside & (local[:, 2] <= 0.01)


def _connected(points: np.ndarray, seed: np.ndarray) -> np.ndarray:
    pairs = cKDTree(points).query_pairs(_GAP, output_type="ndarray")
    n = len(points)
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    return np.isin(labels, np.unique(labels[seed]))
