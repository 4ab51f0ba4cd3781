"""Hypothesis strategies for geometry."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grasp_core import se3
from grasp_core.grasps import Grasps

seeds = st.integers(0, 2**32 - 1)
rotations = seeds.map(lambda seed: Rotation.random(random_state=np.random.RandomState(seed)).as_matrix())
vectors = seeds.map(lambda seed: np.random.default_rng(seed).uniform(-2.0, 2.0, 3))
transforms = st.builds(se3.make, rotations, vectors)


def grasps(n: int = 20) -> st.SearchStrategy[Grasps]:
    """Random but valid grasps."""

    def build(seed: int) -> Grasps:
        rng = np.random.default_rng(seed)
        R = Rotation.random(n, random_state=np.random.RandomState(seed)).as_matrix()
        return Grasps.create(
            R,
            rng.uniform(-0.5, 0.5, (n, 3)),
            rng.uniform(0.005, 0.085, n),
            rng.uniform(0.0, 0.04, n),
            rng.uniform(0, 1, n),
            rng.uniform(0, 1, n),
            rng.integers(-1, 50, n),
            "test",
        )

    return seeds.map(build)
