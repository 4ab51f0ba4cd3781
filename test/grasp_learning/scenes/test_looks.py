from __future__ import annotations

import numpy as np
import pytest

from grasp_core import se3
from grasp_learning.scenes.looks import CAMERAS, LOWEST, NOISE, SHIFT, TURN, pose_pair
from grasp_sim.noise import MODES


def test_shares() -> None:
    assert sum(NOISE.values()) == pytest.approx(1.0)
    assert set(NOISE) == set(CAMERAS) == set(MODES)


@pytest.mark.parametrize("seed", range(20))
def test_pairs(seed: int) -> None:
    middle = np.array([0.02, -0.03, 0.04])
    first, second = pose_pair(middle, np.random.default_rng(seed))
    for pose in (first, second):
        se3.check(pose, "pose")
        assert pose[2, 3] >= LOWEST
        to_middle = se3.transform(se3.inverse(pose), middle[None])[0]
        assert to_middle[2] > 0.2
        assert np.linalg.norm(to_middle[:2]) < 0.2 * to_middle[2] + 0.15
    turned = np.degrees(se3.rotation_angle(first[:3, :3], second[:3, :3]))
    assert TURN[0] - 1e-6 <= turned <= TURN[1] + 1e-6
    assert np.linalg.norm(first[:3, 3] - second[:3, 3]) < 1.0 * np.radians(TURN[1]) + 2.0 * SHIFT
