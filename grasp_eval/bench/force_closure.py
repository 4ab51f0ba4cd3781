"""How rough an object must be for two fingers to hold it: the antipodal test with the contacts cast by rays.

The metric of GraspNet-1Billion takes Dex-Net's contacts: each finger moves along the closing line from where it stands
to the middle, and touches where that line first meets the object. Two contacts with soft fingers close the grasp if
and only if the line between them lies in both friction cones (Nguyen 1988). GraspNet's configuration names cones of 8
faces, but for two contacts its code takes this test, with round cones, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_eval.bench.surfaces import Hits, Surfaces

FRICTIONS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)  # GraspNet-1Billion
BAD = -1.0  # the score of a grasp that holds at none of them (GraspNet-1Billion)
# m that a finger may stand inside the object or reach past the middle. Dex-Net takes every point within 0.7 cells of
# its distance field for one on the surface; 1 mm is that for cells of 1.4 mm.
SLACK = 0.001
ROUNDING = 1e-6  # of a friction coefficient: a face of exactly 45 deg holds at 1.0


def friction_needed(surfaces: Surfaces, centres: ArrayLike, closing: ArrayLike, width: ArrayLike) -> NDArray:
    """(K,) the friction coefficient from which on each grasp holds, inf where a finger finds no contact.

    centres (K, 3): midway between the fingertips. closing (K, 3): unit vectors. width (K,): m between the fingers, in
    the frame of the surfaces. A finger that stands more than SLACK inside the object, or that would have to go more
    than SLACK beyond the middle, has none.
    """
    width = np.asarray(width, dtype=np.float64)
    low, high = surfaces.close(centres, closing, width + 2 * SLACK)
    reach = width / 2.0 + 2 * SLACK
    touched = (low.distance <= reach) & (high.distance <= reach)
    return np.where(touched, antipodal_friction(low, high), np.inf)


def antipodal_friction(first: Hits, second: Hits) -> NDArray[np.float64]:
    """(K,) least friction coefficient at which the line from ``first`` to ``second`` lies in both friction cones.

    inf where a finger met nothing, met the surface from behind, or both met it in the same point.
    """
    line = second.point - first.point
    length = np.linalg.norm(line, axis=1)
    sound = np.isfinite(length) & (length > 0)
    line = np.divide(line, length[:, None], out=np.zeros_like(line), where=sound[:, None])
    needed = np.zeros(len(line))
    for normal in (-first.normal, second.normal):  # as seen along the line, into and out of the object
        cosine = np.einsum("ki,ki->k", normal, line)
        sine = np.linalg.norm(normal - cosine[:, None] * line, axis=1)
        faces = sound & (cosine > 0)
        needed = np.maximum(needed, np.divide(sine, cosine, out=np.full(len(line), np.inf), where=faces))
    return needed


def least_listed(needed: ArrayLike) -> NDArray[np.float64]:
    """(K,) the least of FRICTIONS at which grasps that need (K,) hold; BAD where that is none of them."""
    index = np.searchsorted(np.array(FRICTIONS) + ROUNDING, np.asarray(needed, dtype=np.float64))
    return np.array([*FRICTIONS, BAD])[index]
