"""Labels of one object in memory: quantised as they are stored, decoded when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_core.grasps import Grasps
from grasp_learning.contacts import MAX_FRICTION
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS, rotations

PER_POINT = VIEWS * ANGLES * len(DEPTHS)
SHAPE = (VIEWS, ANGLES, len(DEPTHS))
FRICTION_STEP = 0.005
NO_GRASP = 255  # friction code
WIDTH_STEP = 0.0005  # m
SPREAD = 20  # how many more grasps than asked for are looked at, so that near ones can be left out
DETECTOR = "labels"


@dataclass(frozen=True, eq=False)
class ObjectLabels:
    """What is known of P x VIEWS x ANGLES x DEPTHS grasps of an object, in its own frame.

    Attributes:
        name: the object's.
        points, normals: (P, 3) float32, m and unit, outward.
        centre_of_mass: (3,) float64 m.
        friction_code: (P, PER_POINT) uint8, least friction in FRICTION_STEP, rounded up; NO_GRASP.
        width_code: (P, PER_POINT) uint8, opening needed in WIDTH_STEP, rounded up; 0 where there is no grasp.
        collision_bits: (P, PER_POINT / 8) uint8, packed: the hand meets the object; 0 where there is no grasp.
        digest: of the recipe.
    """

    name: str
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    centre_of_mass: NDArray[np.float64]
    friction_code: NDArray[np.uint8]
    width_code: NDArray[np.uint8]
    collision_bits: NDArray[np.uint8]
    digest: str

    def __len__(self) -> int:
        return len(self.points)

    def friction(self, points: ArrayLike | slice = slice(None)) -> NDArray[np.float32]:
        """(P, V, A, D) least friction coefficient, inf where no friction helps; of some points only, where given."""
        codes = self.friction_code[points].reshape(-1, *SHAPE)
        return np.where(codes == NO_GRASP, np.float32(np.inf), codes * np.float32(FRICTION_STEP))

    def width(self, points: ArrayLike | slice = slice(None)) -> NDArray[np.float32]:
        """(P, V, A, D) opening needed, m; 0 where there is no grasp."""
        return self.width_code[points].reshape(-1, *SHAPE) * np.float32(WIDTH_STEP)

    def collision(self, points: ArrayLike | slice = slice(None)) -> NDArray[np.bool_]:
        """(P, V, A, D) whether the open hand meets the object; False where there is no grasp."""
        bits = np.unpackbits(self.collision_bits[points], axis=1, count=PER_POINT)
        return bits.astype(bool).reshape(-1, *SHAPE)

    def stable(self, points: ArrayLike | slice = slice(None)) -> NDArray[np.float16]:
        """(P, V, A) distance of the centre of mass from the closing plane, as a share of the object's largest.

        0: the plane passes through it. The closing plane holds approach and closing direction, so that it is the same
        for all depths. The largest is the farthest surface point's distance from the centre of mass.
        """
        arms = self.points.astype(np.float64) - self.centre_of_mass
        scale = np.linalg.norm(arms, axis=1).max()
        across = np.einsum("vai,pi->pva", rotations()[..., 1], arms[points].reshape(-1, 3), optimize=True)
        return (np.abs(across) / scale).astype(np.float16)

    def best(self, count: int, max_friction: float = 0.8) -> Grasps:
        """At most ``count`` good grasps without collision, best first, none close to a better one; for looking at.

        Score: log-friction between MAX_FRICTION (0) and FRICTION_STEP (1), times 1 - stable.
        """
        free = ~self.collision() & (self.friction() <= max_friction)
        index = np.flatnonzero(free)
        point, view, angle, depth = np.unravel_index(index, free.shape)
        friction = np.maximum(self.friction_code.ravel()[index], 1) * FRICTION_STEP
        stable = self.stable()[point, view, angle].astype(np.float64)
        score = np.log(MAX_FRICTION / friction) / np.log(MAX_FRICTION / FRICTION_STEP) * (1.0 - stable)
        top = np.argsort(-score, kind="stable")[: SPREAD * count]
        R = rotations()[view[top], angle[top]]
        reach = np.array(DEPTHS)[depth[top]]
        found = Grasps.create(
            R,
            self.points[point[top]] + reach[:, None] * R[:, :, 2],
            np.maximum(self.width_code.ravel()[index[top]], 1) * WIDTH_STEP,
            depth=reach,
            score=score[top],
            stability=1.0 - stable[top],
            detector=DETECTOR,
        )
        return found.nms()[:count]


def quantise_friction(friction: ArrayLike) -> NDArray[np.uint8]:
    """Codes of friction coefficients; above MAX_FRICTION: NO_GRASP."""
    friction = np.asarray(friction, dtype=np.float64)
    steps = np.ceil(np.minimum(friction, MAX_FRICTION) / FRICTION_STEP - 1e-6)
    return np.where(friction <= MAX_FRICTION, steps, NO_GRASP).astype(np.uint8)


def quantise_width(width: ArrayLike) -> NDArray[np.uint8]:
    """Codes of widths in m, up to 0.1275."""
    return np.clip(np.ceil(np.asarray(width) / WIDTH_STEP - 1e-6), 0, 255).astype(np.uint8)
