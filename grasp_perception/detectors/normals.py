"""Surface normals by principal components of the nearest neighbours."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def estimate(
    points: NDArray[np.float32],
    queries: NDArray[np.float32],
    viewpoint: NDArray[np.float64] | None,
    neighbours: int = 20,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normals and surface variation at ``queries``.

    Args:
        points: (N, 3) cloud, m.
        queries: (M, 3) where to estimate, m.
        viewpoint: (3,) position of the camera that normals shall face; None orients them upwards.
        neighbours: size of the neighbourhood.

    Returns:
        normals (M, 3) of unit length and surface variation (M,): the smallest eigenvalue of the neighbourhood's
        covariance over their sum, 0 for a plane, 1/3 for noise (Pauly et al. 2002).
    """
    k = min(neighbours, len(points))
    _, index = cKDTree(points).query(queries, k=k, workers=1)
    local = points[index.reshape(len(queries), k)].astype(np.float64)
    local -= local.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", local, local))
    normals = vectors[:, :, 0]
    towards = np.array([0.0, 0.0, 1.0]) if viewpoint is None else viewpoint - queries
    normals *= np.where((normals * towards).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    return normals, values[:, 0] / np.maximum(values.sum(axis=1), 1e-18)
