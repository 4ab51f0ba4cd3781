"""Objects whose least friction and width are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from grasp_core import se3
from grasp_eval.bench.surfaces import Surfaces
from grasp_learning.contacts import PadContacts, Raster, pad_friction
from grasp_perception.dense.template import DEPTHS
from grasp_sim.objects.spec import Part
from test.grasp_learning.things import DOWN, GRIPPER, box, thing


def grasp(part: Part, point: list[float], R: NDArray = DOWN, pose: NDArray | None = None) -> tuple[NDArray, NDArray]:
    """Friction and width, (DEPTHS,) each, of one frame at a point, both in the object's frame."""
    T = np.eye(4) if pose is None else pose
    contacts = PadContacts(Surfaces([thing(part).mesh()], T[None]), GRIPPER)
    friction, width = contacts(se3.transform(T, np.array([point])), (T[:3, :3] @ R)[None])
    return friction[0], width[0]


def about_z(angle: float) -> NDArray:
    return se3.rpy_matrix(0.0, 0.0, angle) @ DOWN


def test_box() -> None:
    friction, width = grasp(box(0.04, 0.06, 0.08), [0.0, 0.0, 0.04])
    assert np.allclose(friction, 0.0, atol=1e-6)
    assert np.allclose(width, 0.04, atol=1e-6)


def test_a_box_turned_in_the_hand_needs_the_friction_of_its_angle() -> None:
    friction, width = grasp(box(0.04, 0.06, 0.08), [0.0, 0.0, 0.04], about_z(np.deg2rad(15)))
    assert np.allclose(friction, np.tan(np.deg2rad(15)), atol=1e-5)
    assert (width > 0.041).all()  # the pads are flat: a corner decides


def test_off_the_middle_the_hand_opens_wider() -> None:
    friction, width = grasp(box(0.04, 0.06, 0.08), [0.008, 0.0, 0.04])
    assert np.allclose(friction, 0.0, atol=1e-6)
    assert np.allclose(width, 0.056, atol=1e-6)


def test_far_off_the_middle_is_no_grasp() -> None:
    assert not np.isfinite(grasp(box(0.04, 0.06, 0.08), [0.012, 0.0, 0.04])[0]).any()


def test_nearly_too_wide() -> None:
    assert np.allclose(grasp(box(0.08, 0.06, 0.08), [0.0, 0.0, 0.04])[1], 0.08, atol=1e-6)


@pytest.mark.parametrize("size", [0.084, 0.09, 0.2])
def test_too_wide(size: float) -> None:
    assert not np.isfinite(grasp(box(size, 0.06, 0.08), [0.0, 0.0, 0.04])[0]).any()


def test_beside_the_object() -> None:
    assert not np.isfinite(grasp(box(0.04, 0.06, 0.08), [0.0, 0.1, 0.04])[0]).any()


def test_cylinder() -> None:
    upright = Part("cylinder", (0.02, 0.05))
    friction, width = grasp(upright, [0.0, 0.0, 0.05])
    assert friction.max() < np.tan(np.deg2rad(5.7))  # half a facet
    assert np.allclose(width, 0.04, atol=5e-4)


def test_sphere_above_its_equator() -> None:
    """The tips are 20 mm above the centre of a ball of 30 mm and touch it there: tan(asin(2/3))."""
    friction, width = grasp(Part("sphere", (0.03,)), [0.0, 0.0, 0.03])
    assert friction[DEPTHS.index(0.01)] == pytest.approx(0.894, abs=0.08)
    assert width[DEPTHS.index(0.01)] == pytest.approx(2 * np.sqrt(0.03**2 - 0.02**2), abs=1e-3)


def test_sphere_beyond_its_equator_is_held_by_the_pads_not_by_the_tips() -> None:
    """The line between the tips, 10 mm below the centre, would need 0.35."""
    friction, width = grasp(Part("sphere", (0.03,)), [0.0, 0.0, 0.03])
    assert friction[DEPTHS.index(0.04)] < 0.12  # facets
    assert width[DEPTHS.index(0.04)] == pytest.approx(0.06, abs=5e-4)


def test_a_finger_that_would_stand_in_the_object_holds_nothing() -> None:
    friction, _ = grasp(box(0.06, 0.06, 0.08), [0.02, 0.0, 0.04])  # needs 100 mm
    assert not np.isfinite(friction).any()


@given(
    st.tuples(*[st.floats(0.01, 0.07)] * 3),
    st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6),
    st.floats(-0.6, 0.6),
)
@settings(max_examples=25, deadline=None)
def test_does_not_depend_on_the_frame(size: tuple[float, ...], move: list[float], angle: float) -> None:
    top = [0.0, 0.0, size[2] / 2]
    pose = se3.make(se3.exp_so3(move[:3]), move[3:])
    here, there = (grasp(box(*size), top, about_z(angle), T) for T in (None, pose))
    both = np.isfinite(here[0]) & np.isfinite(there[0])
    assert np.allclose(here[0][both], there[0][both], atol=1e-3)
    assert np.allclose(here[1][both], there[1][both], atol=1e-4)


@given(st.floats(0.0, 1.2), st.floats(0.0, 2 * np.pi))
def test_friction_is_the_tangent_of_the_worse_normal(tangent: float, turn: float) -> None:
    normal = np.zeros((1, 1, 2, 3))
    normal[0, 0, 0] = [-1.0, 0.0, 0.0]
    normal[0, 0, 1] = np.array([1.0, tangent * np.cos(turn), tangent * np.sin(turn)]) / np.hypot(1.0, tangent)
    assert pad_friction(np.full((1, 1, 2), 0.02), normal)[0] == pytest.approx(tangent, abs=1e-5)


def test_what_a_bulge_keeps_away_is_not_touched() -> None:
    reach = np.array([[[0.03, 0.03], [0.02, 0.02]]])  # the first ray meets the bulge
    normal = np.zeros((1, 2, 2, 3))
    normal[0, 0] = [[-0.6, 0.8, 0.0], [0.6, 0.8, 0.0]]
    normal[0, 1] = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert pad_friction(reach, normal)[0] == pytest.approx(4 / 3)


def test_rays_lie_on_shared_levels() -> None:
    raster = Raster.of(GRIPPER)
    assert raster.rows.min() == 0
    assert np.allclose(raster.levels[raster.rows[:, 0]], DEPTHS)  # the first row is at the tips
