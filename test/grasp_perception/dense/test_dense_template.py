"""The template of grasps: a frame is a frame, the views cover the sphere, the angles cover half a turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.conventions import from_graspnet
from grasp_perception.dense import template

number = st.floats(-1.0, 1.0)


def test_rotations_are_rotations_along_their_approach() -> None:
    R = template.rotations()
    assert R.shape == (template.VIEWS, template.ANGLES, 3, 3)
    assert se3.is_rotation(R, tolerance=1e-12).all()
    np.testing.assert_allclose(R[..., 2], np.broadcast_to(-template.views()[:, None], R.shape[:3]), atol=1e-12)


def test_closing_direction_is_level_at_the_first_angle() -> None:
    assert np.abs(template.rotations()[:, 0, 2, 0]).max() < 1e-12


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_vertical_approach(sign: float) -> None:
    R = template.rotation([0.0, 0.0, sign], 0.0)
    assert se3.is_rotation(R, tolerance=1e-12)
    np.testing.assert_allclose(R[:, 0], [0.0, 1.0, 0.0])


@given(st.tuples(number, number, number).filter(lambda v: np.linalg.norm(v) > 1e-3), st.floats(0.0, 2 * np.pi))
def test_every_approach_gives_a_rotation(approach: tuple[float, float, float], angle: float) -> None:
    R = template.rotation(approach, angle)
    assert se3.is_rotation(R, tolerance=1e-6)
    np.testing.assert_allclose(R[:, 2], approach / np.linalg.norm(approach), atol=1e-9)


def test_angles_turn_about_the_approach() -> None:
    R = template.rotations()
    turned = np.einsum("vij,ajk->vaik", R[:, 0], template.rotation([0.0, 0.0, 1.0], template.angles() - np.pi / 2))
    np.testing.assert_allclose(turned, R, atol=1e-9)


def test_views_cover_the_sphere_evenly() -> None:
    views = template.views()
    np.testing.assert_allclose(np.linalg.norm(views, axis=1), 1.0)
    cosine = views @ views.T - 2.0 * np.eye(len(views))
    assert np.degrees(np.arccos(cosine.max(axis=1))).min() > 8.0
    directions = np.random.default_rng(0).normal(size=(5000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.degrees(np.arccos((directions @ views.T).max(axis=1))).max() < 9.5


def test_nearest_view_of_a_view_is_itself() -> None:
    np.testing.assert_array_equal(template.nearest_view(3.0 * template.views()), np.arange(template.VIEWS))


def test_same_frame_as_graspnet() -> None:
    """The frame of GSNet for this approach and angle, written down from its definition."""
    approach, angle = np.array([0.6, 0.0, -0.8]), 0.7
    first = np.array([0.0, 0.6, 0.0]) / 0.6
    base = np.stack([approach, first, np.cross(approach, first)], axis=1)
    theirs = base @ np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    row = np.concatenate([[0.5, 0.05, 0.02, 0.01], theirs.ravel(), [0.1, 0.2, 0.3, 1.0]])
    np.testing.assert_allclose(from_graspnet(row[None]).R[0], template.rotation(approach, angle), atol=1e-6)


def test_views_within_a_cone() -> None:
    within = template.views_within(np.deg2rad(60.0))
    assert 0.2 < within.mean() < 0.3  # a cap of 60 deg is a quarter of the sphere
    assert (-template.views()[within][:, 2] <= -0.5).all()


def test_template_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        template.views()[0, 0] = 1.0
