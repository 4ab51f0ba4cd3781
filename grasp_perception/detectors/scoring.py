"""From what is known about a grasp to one number, and the choice among neighbours."""

import torch

from grasp_core.gripper import Gripper
from grasp_perception.detectors.antipodal import Contacts
from grasp_perception.detectors.heightmap import HeightMap

_WEIGHTS = {  # exponents of a weighted product
    "friction": 0.8,
    "coverage": 0.3,
    "depth": 0.6,
    "clearance": 0.3,
    "stability": 0.8,
    "upright": 0.4,
    "single": 0.8,
    "seen": 0.5,
    "width": 0.3,
    "size": 1.0,
}
_GOOD_DEPTH = 0.025  # m
_LEVER = 0.06  # m from the closing plane at which the weight of the object is held badly
_THIN = 0.010  # m
_LARGE = 0.35  # m: walls and furniture


def stability(scene: HeightMap, contacts: Contacts) -> torch.Tensor:
    """1 where the closing plane passes through the segment's estimated centre of mass, 0 from ``_LEVER`` on, (N,)."""
    arm = scene.centroid[contacts.segment] - contacts.t
    across = (arm * contacts.R[:, :, 1]).sum(1).abs()
    return torch.where(contacts.segment > 0, (1.0 - across / _LEVER).clamp(0.0, 1.0), 0.0)


def factors(
    scene: HeightMap, contacts: Contacts, unseen_tips: torch.Tensor, stable: torch.Tensor, gripper: Gripper
) -> dict[str, torch.Tensor]:
    """What speaks for N grasps, each (N,) in [0, 1]."""
    thick = (contacts.extent / _THIN).clamp(max=1.0)
    slack = ((gripper.max_width - contacts.extent) / 0.02).clamp(0.0, 1.0)
    return {
        "friction": contacts.friction,
        "coverage": (contacts.coverage / 0.6).clamp(max=1.0),
        "depth": (contacts.depth / _GOOD_DEPTH).clamp(max=1.0),
        "clearance": (contacts.clearance / 0.008).clamp(max=1.0),
        "stability": 0.15 + 0.85 * stable,
        "upright": contacts.R[:, 2, 2].abs(),
        "single": contacts.single,
        "seen": 1.0 - 0.4 * contacts.unseen - 0.6 * unseen_tips,
        "width": thick * slack,
        "size": torch.where(scene.extent[contacts.segment] > _LARGE, 0.2, 1.0),
    }


def score(
    scene: HeightMap, contacts: Contacts, unseen_tips: torch.Tensor, stable: torch.Tensor, gripper: Gripper
) -> torch.Tensor:
    """Score in [0, 1] of N grasps: the weighted product of the factors."""
    parts = factors(scene, contacts, unseen_tips, stable, gripper)
    log = sum(weight * parts[name].clamp(min=0.02).log() for name, weight in _WEIGHTS.items())
    return log.exp().clamp(0.0, 1.0)


def suppress(
    R: torch.Tensor, t: torch.Tensor, score: torch.Tensor, translation: float, rotation: float, limit: int
) -> torch.Tensor:
    """Indices of at most ``limit`` grasps, best first, none near a better one in place (m) and angle (rad).

    A grasp turned by half a turn about its approach is the same grasp.
    """
    order = torch.argsort(-score, stable=True)
    R, t = R[order], t[order]
    same = R.flatten(1)
    swapped = same * same.new_tensor([-1.0, -1.0, 1.0]).repeat(3)
    cosine = (torch.maximum(same @ same.T, swapped @ same.T) - 1.0) / 2.0
    near = (torch.cdist(t, t, compute_mode="donot_use_mm_for_euclid_dist") < translation) & (
        cosine > torch.cos(torch.tensor(rotation))
    )
    near_rows = near.cpu().numpy()
    alive = near_rows.any(1)
    kept = []
    for i in range(len(alive)):
        if alive[i]:
            kept.append(i)
            if len(kept) == limit:
                break
            alive &= ~near_rows[i]
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
