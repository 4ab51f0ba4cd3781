from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_learning.template import ANGLES, VIEWS, rotations, view_directions


def test_views_are_spread_evenly() -> None:
    views = view_directions()
    assert views.shape == (VIEWS, 3)
    assert np.allclose(np.linalg.norm(views, axis=1), 1.0)
    assert np.abs(views.mean(axis=0)).max() < 0.01
    cosine = views @ views.T - 2.0 * np.eye(VIEWS)
    nearest = np.rad2deg(np.arccos(cosine.max(axis=1)))
    assert nearest.min() > 7.0  # a perfect lattice of 300 has neighbours 12.6 deg apart
    assert nearest.max() < 13.0


def test_frames_are_grasp_frames() -> None:
    R = rotations()
    assert R.shape == (VIEWS, ANGLES, 3, 3)
    assert se3.is_rotation(R, tolerance=1e-9).all()
    assert np.allclose(R[..., 2], -view_directions()[:, None])


def test_angles_turn_about_the_approach_over_half_a_turn() -> None:
    R = rotations()
    assert np.allclose(R[:, 0, 2, 0], 0.0)  # angle 0 closes horizontally
    step = se3.rotation_angle(R[:, :-1], R[:, 1:])
    assert np.allclose(step, np.pi / ANGLES)
    swapped = se3.rotation_angle(R[:, :1], R @ np.diag([-1.0, -1.0, 1.0]))
    assert np.rad2deg(swapped.min()) > 14.9  # no candidate twice with the fingers swapped
