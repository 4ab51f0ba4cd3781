"""Variants of a view keep what must be kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_learning.training.augmentation import augment, unchanged
from grasp_learning.training.recipe import AugmentationRecipe
from test.grasp_learning.training.training_scenes import sample

SCENE = sample(0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_rigid_but_for_mirror_and_noise(seed: int) -> None:
    recipe = AugmentationRecipe()
    view = SCENE.views[0]
    found = augment(view, 0.0, recipe, np.random.default_rng(seed))
    A = found.motion.A
    np.testing.assert_allclose(A @ A.T, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(A[2], [0, 0, 1])
    assert found.motion.shift[2] == 0
    moved = found.motion(view.points[found.rows])
    assert np.abs(found.cloud.points - moved).max() < 6 * recipe.jitter
    assert abs(found.cloud.support) < 6 * recipe.support_error
    things = view.owner >= 0
    kept = (view.owner[found.rows] >= 0).sum() / things.sum()
    assert kept > 1 - recipe.dropout - 0.05  # nothing of the objects is cropped


def test_all_kinds_come() -> None:
    rng = np.random.default_rng(0)
    found = [augment(SCENE.views[0], 0.0, AugmentationRecipe(), rng) for _ in range(60)]
    mirrored = [np.linalg.det(f.motion.A) < 0 for f in found]
    assert 15 < sum(mirrored) < 45
    assert 0 < sum(f.cloud.camera is None for f in found) < 20
    assert len({len(f.rows) for f in found}) > 20
    camera = next(f for f in found if f.cloud.camera is not None)
    np.testing.assert_allclose(camera.cloud.camera, camera.motion(SCENE.views[0].camera), atol=1e-6)


def test_unchanged() -> None:
    view = SCENE.views[1]
    found = unchanged(view, 0.0)
    np.testing.assert_array_equal(found.cloud.points, view.points[found.rows])
    assert (np.delete(view.owner, found.rows) == -1).all()
