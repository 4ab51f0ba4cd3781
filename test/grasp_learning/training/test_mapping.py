"""Grasps of an object's template found for those of a scene: against all of them, one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grasp_learning.training.mapping import template_maps
from grasp_perception.dense.template import ANGLES, VIEWS, rotations, views

HALF_STEP = np.pi / ANGLES / 2
MIRROR = np.diag([1.0, -1.0, 1.0])
SEEDS = st.integers(0, 2**32 - 1)


def orthogonal(seed: int, mirrored: bool) -> np.ndarray:
    R = Rotation.random(random_state=seed).as_matrix()
    return R @ MIRROR if mirrored else R


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip((a * b).sum(-1), -1, 1))


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.booleans())
def test_the_nearest_view_and_angle(seed: int, mirrored: bool) -> None:
    T = orthogonal(seed, mirrored)
    near, angle = (table[0] for table in template_maps(T[None]))
    wanted = -rotations()[:, 0, :, 2] @ T  # where the gripper comes from, in the frame of the object
    everything = wanted @ views().T
    np.testing.assert_allclose(everything[np.arange(VIEWS), near], everything.max(1), atol=1e-12)
    # closing lines of the scene, brought to the approach of the object's view the short way, are within half a step
    found = rotations()[near[:, None], angle]
    closing = np.einsum("ji,vaj->vai", T, rotations()[..., 0])
    along = found[..., 2]
    flat = closing - (closing * along).sum(-1, keepdims=True) * along
    flat /= np.linalg.norm(flat, axis=-1, keepdims=True)
    off = angle_between(flat, found[..., 0])
    assert np.minimum(off, np.pi - off).max() <= HALF_STEP + 1e-9


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.booleans())
def test_the_grasp_in_the_scene_is_the_object_s_but_for_half_a_bin(seed: int, mirrored: bool) -> None:
    T = orthogonal(seed, mirrored)
    near, angle = (table[0] for table in template_maps(T[None]))
    of_object = T @ rotations()[near[:, None], angle]
    approach = angle_between(of_object[..., 2], rotations()[..., 2])
    closing = angle_between(of_object[..., 0], rotations()[..., 0])
    closing = np.minimum(closing, np.pi - closing)
    half_view = angle_between(views()[:, None], views()[None])[~np.eye(VIEWS, dtype=bool)].reshape(VIEWS, -1)
    assert approach.max() <= half_view.min(1).max()  # the cells of the spiral are nowhere wider than that
    assert closing.max() <= HALF_STEP + approach.max() + 1e-9


def test_the_object_s_own_frame_changes_nothing() -> None:
    near, angle = template_maps(np.eye(3)[None])
    np.testing.assert_array_equal(near[0], np.arange(VIEWS))
    np.testing.assert_array_equal(angle[0], np.tile(np.arange(ANGLES), (VIEWS, 1)))


def test_angles_are_a_permutation_which_a_mirror_reverses() -> None:
    for mirrored in (False, True):
        _, angle = template_maps(np.stack([orthogonal(seed, mirrored) for seed in range(5)]))
        steps = np.diff(angle, axis=2) % ANGLES
        assert (steps == (ANGLES - 1 if mirrored else 1)).mean() > 0.97
        assert (np.sort(angle, axis=2) == np.arange(ANGLES)).all(2).mean() > 0.9
