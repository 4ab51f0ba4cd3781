"""Which grasps can be carried out: region, centring between the fingers, collision with the cloud; all at once."""

from dataclasses import replace

import torch
from torch import Tensor

from grasp_core.cell import Box
from grasp_core.gripper import Gripper
from grasp_perception.dense.buckets import Buckets
from grasp_perception.dense.decode import Candidates

CELL = 0.015  # m, of the cells that the cloud is sorted into


def within_region(t: Tensor, region: Box | None) -> Tensor:
    """Which fingertips (N,) of t (N, 3) are above the region's floor plan.

    How deep they may go is a matter of the support, not of the region.
    """
    if region is None:
        return torch.ones(len(t), dtype=torch.bool, device=t.device)
    low, high = (t.new_tensor(edge[:2]) for edge in (region.min, region.max))
    return ((t[:, :2] >= low) & (t[:, :2] <= high)).all(1)


def centred(grasps: Candidates, cloud: Buckets, gripper: Gripper, max_shift: float) -> tuple[Candidates, Tensor]:
    """Shift grasps along the closing direction until both gaps to the outermost points between the fingers are equal.

    Args:
        grasps: N of them.
        cloud: what can be held, without the support.
        gripper: its pads bound the space between the fingers.
        max_shift: farthest shift, m: from one side the far end of an object may be unseen.

    Returns:
        the grasps, and how many points lie between the fingers of each (N,), counted before the shift.
    """
    deep, half = gripper.pad_height, gripper.finger.width / 2

    def inside(x: Tensor, y: Tensor, z: Tensor, width: Tensor, grow: float) -> Tensor:
        between = (x.abs() <= width / 2 + grow) & (y.abs() <= half + grow)
        return between & (z <= grow) & (z >= -deep - grow)

    widest = gripper.max_width / 2
    bounds = ((-widest, widest), (-half, half), (-deep, 0.0))
    found = cloud.search(grasps.R, grasps.t, grasps.width, inside, bounds)
    owner, x = found.frame, found.local[0]
    count = torch.bincount(owner, minlength=len(grasps))
    left, right = torch.zeros_like(grasps.width), torch.zeros_like(grasps.width)
    left.scatter_reduce_(0, owner, x, "amin", include_self=False)
    right.scatter_reduce_(0, owner, x, "amax", include_self=False)
    shift = ((left + right) / 2).clamp(-max_shift, max_shift)
    t = grasps.t + grasps.R[:, :, 0] * shift[:, None]
    return replace(grasps, t=t), count


def free(grasps: Candidates, cloud: Buckets, gripper: Gripper, sweep: float, most: int = 0) -> Tensor:
    """Which grasps (N,) have at most ``most`` points of the cloud inside the gripper, from ``sweep`` m before on.

    Same boxes as ``detectors.collision.against_points``; only cells near the gripper are opened.
    """

    def inside(x: Tensor, y: Tensor, z: Tensor, width: Tensor, grow: float) -> Tensor:
        return _in_gripper(x.abs(), y.abs(), z, width / 2, gripper, sweep, grow)

    parts = (gripper.knuckles.size, gripper.palm.size)
    wide = max(gripper.max_width / 2 + gripper.finger.thickness, *(size[0] / 2 for size in parts))
    deep = max(gripper.finger.width / 2, *(size[1] / 2 for size in parts))
    behind = gripper.finger.length + sum(size[2] for size in parts) + sweep
    bounds = ((-wide, wide), (-deep, deep), (-behind, 0.0))
    found = cloud.search(grasps.R, grasps.t, grasps.width, inside, bounds, most)
    return torch.bincount(found.frame, minlength=len(grasps)) <= most


def _in_gripper(x: Tensor, y: Tensor, z: Tensor, half: Tensor, gripper: Gripper, sweep: float, grow: float) -> Tensor:
    """Which points, given by |x|, |y| and z in the frame of a grasp of half that opening, lie in the grown gripper."""
    finger = gripper.finger
    inside = (x > half - grow) & (x < half + (finger.thickness + grow)) & (y < finger.width / 2 + grow)
    inside &= (z < grow) & (z > -finger.length - sweep - grow)
    front = -finger.length
    for size_x, size_y, size_z in (gripper.knuckles.size, gripper.palm.size):
        part = (x < size_x / 2 + grow) & (y < size_y / 2 + grow)
        inside |= part & (z < front + grow) & (z > front - size_z - sweep - grow)
        front -= size_z
    return inside
