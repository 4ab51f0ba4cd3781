"""Is the gripper free: against the height map for many grasps, against the points themselves for the final ones."""

import torch

from grasp_core.gripper import Gripper
from grasp_perception.detectors.heightmap import HeightMap

_FINGER_STEP = 0.004
_PALM_STEP = 0.0125
_PALM_MARGIN = 0.005  # m that the palm stays away from everything
_SWEEP_STEP = 0.027
_CHUNK = 64


def _steps(low: float, high: float, step: float) -> torch.Tensor:
    return torch.linspace(low, high, max(2, round((high - low) / step) + 1))


def _finger_samples(gripper: Gripper, margin: float) -> torch.Tensor:
    """Samples (P, 3) on a finger's tip and edges; x counts outwards from the pad, which is grown by ``margin``."""
    finger = gripper.finger
    x = _steps(-margin, finger.thickness + margin, _FINGER_STEP)
    y = _steps(-finger.width / 2, finger.width / 2, _FINGER_STEP)
    tip = torch.cartesian_prod(x, y, torch.zeros(1))
    edges = torch.cartesian_prod(x[[0, -1]], y[[0, len(y) // 2, -1]], _steps(-finger.length, -0.01, 0.01))
    return torch.cat([tip, edges])


def _palm_samples(gripper: Gripper) -> torch.Tensor:
    """Samples (P, 3) on the fronts and the vertical edges of knuckles and palm, in the grasp frame."""
    samples, start = [], -gripper.finger.length
    for size_x, size_y, size_z in (gripper.knuckles.size, gripper.palm.size):
        x, y = _steps(-size_x / 2, size_x / 2, _PALM_STEP), _steps(-size_y / 2, size_y / 2, _PALM_STEP)
        back = start - _steps(size_z / 3, size_z, size_z / 3)
        samples.append(torch.cartesian_prod(x, y, torch.tensor([start])))
        samples.append(torch.cartesian_prod(x, y[[0, -1]], back))
        samples.append(torch.cartesian_prod(x[[0, -1]], y, back))
        start -= size_z
    return torch.cat(samples)


def palm_free(scene: HeightMap, R: torch.Tensor, t: torch.Tensor, gripper: Gripper) -> torch.Tensor:
    """Quick check (N,) of the front of the knuckles at its pose."""
    size_x, size_y, _ = gripper.knuckles.size
    x, y = _steps(-size_x / 2, size_x / 2, 0.035), _steps(-size_y / 2, size_y / 2, 0.035)
    local = torch.cartesian_prod(x, y, torch.tensor([-gripper.finger.length])).to(t.device)
    return ~scene.solid(local @ R.transpose(1, 2) + t[:, None]).any(1)


def against_map(
    scene: HeightMap, R: torch.Tensor, t: torch.Tensor, width: torch.Tensor, gripper: Gripper, sweep: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Check the gripper at its pose and along the approach over the last ``sweep`` m.

    Returns:
        free (N,) bool and the share of unseen cells below the fingertips (N,).
    """
    fingers = _finger_samples(gripper, 0.002).to(t.device)
    palm = _palm_samples(gripper).to(t.device)
    offset = (width / 2)[:, None, None] * fingers.new_tensor([1.0, 0.0, 0.0])
    local = torch.cat([fingers + offset, fingers * fingers.new_tensor([-1.0, 1.0, 1.0]) - offset], dim=1)
    world = local @ R.transpose(1, 2) + t[:, None]
    free = (world[..., 2].amin(1) > scene.support + 0.002) & ~scene.solid(world).any(1)
    wide = scene.dilated(_PALM_MARGIN)
    behind = palm @ R.transpose(1, 2) + t[:, None]
    free &= ~(wide[scene.index(behind[..., :2])] > behind[..., 2]).any(1)
    unseen = scene.unknown[scene.index(world[:, (fingers[:, 2] == 0.0).repeat(2), :2])].mean(1)

    rows = torch.nonzero(free)[:, 0]  # only these need to be followed back
    tips = (fingers[:, 2] > -0.011).repeat(2)
    front = palm[:, 2] > -gripper.finger.length - 1e-6
    shape, approach = torch.cat([world[rows][:, tips], behind[rows][:, front]], dim=1), R[rows, :, 2]
    clear = torch.ones(len(rows), dtype=torch.bool, device=t.device)
    for step in torch.linspace(0.0, sweep, round(sweep / _SWEEP_STEP) + 1, device=t.device)[1:]:
        clear &= ~scene.solid(shape - (approach * step)[:, None]).any(1)
    free[rows[~clear]] = False
    return free, unseen


def against_points(
    points: torch.Tensor, R: torch.Tensor, t: torch.Tensor, width: torch.Tensor, gripper: Gripper
) -> torch.Tensor:
    """Which grasps (N,) have no point of the cloud (M, 3) inside the boxes of the gripper."""
    finger = gripper.finger
    free = torch.ones(len(t), dtype=torch.bool, device=t.device)
    for start in range(0, len(t), _CHUNK):
        part = slice(start, start + _CHUNK)
        local = torch.einsum("mj,njk->nkm", points, R[part]) - torch.einsum("nj,njk->nk", t[part], R[part])[..., None]
        x, y, z = local[:, 0].abs(), local[:, 1].abs(), local[:, 2]
        half = (width[part] / 2)[:, None]
        hit = (x > half) & (x < half + finger.thickness) & (y < finger.width / 2) & (z < 0) & (z > -finger.length)
        behind = -finger.length - z
        for size_x, size_y, size_z in (gripper.knuckles.size, gripper.palm.size):
            hit |= (x < size_x / 2) & (y < size_y / 2) & (behind > 0) & (behind < size_z)
            behind -= size_z
        free[part] = ~hit.any(1)
    return free
