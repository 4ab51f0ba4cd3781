"""From what is known about a grasp to one number, and the choice among neighbours."""

import torch

from grasp_core.gripper import Gripper
from grasp_perception.detectors.antipodal import Contacts
from grasp_perception.detectors.heightmap import HeightMap

# Success of a grasp as a logistic function of the logarithms of its factors: fitted (ridge, weights >= 0) to 479
# simulated lifts from 28 bins of mixed objects, seen by a noisy depth camera; area under the ROC curve 0.88 on bins
# left out. Weights of stability, upright and size are larger than fitted: the lifts were short, and without walls.
_BIAS = 3.7
_WEIGHTS = {
    "friction": 0.5,
    "coverage": 0.7,
    "depth": 1.8,
    "share": 0.55,
    "clearance": 0.9,
    "single": 1.2,
    "seen": 0.9,
    "width": 0.5,
    "stability": 0.4,
    "upright": 0.4,
    "size": 1.5,
}
_LEAST = 0.05  # no factor counts as less
_GOOD_DEPTH = 0.02  # m
_GOOD_SHARE = 0.6  # of the object's height above the support
_GOOD_CLEARANCE = 0.006  # m
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
    """What speaks for N grasps, each (N,) in (0, 1]."""
    thick = (contacts.extent / _THIN).clamp(max=1.0)
    slack = ((gripper.max_width - contacts.extent) / 0.02).clamp(0.0, 1.0)
    height = contacts.t[:, 2] - scene.support + contacts.depth
    values = {
        "friction": contacts.friction,
        "coverage": contacts.coverage / 0.6,
        "depth": contacts.depth / _GOOD_DEPTH,
        "share": contacts.depth / height.clamp(min=0.005) / _GOOD_SHARE,
        "clearance": contacts.clearance / _GOOD_CLEARANCE,
        "stability": stable,
        "upright": contacts.R[:, 2, 2].abs(),
        "single": contacts.single,
        "seen": 1.0 - 0.4 * contacts.unseen - 0.6 * unseen_tips,
        "width": thick * slack,
        "size": torch.where(scene.extent[contacts.segment] > _LARGE, 0.2, 1.0),
    }
    return {name: value.clamp(_LEAST, 1.0) for name, value in values.items()}


def score(
    scene: HeightMap, contacts: Contacts, unseen_tips: torch.Tensor, stable: torch.Tensor, gripper: Gripper
) -> torch.Tensor:
    """Probability of success (N,)."""
    parts = factors(scene, contacts, unseen_tips, stable, gripper)
    return torch.sigmoid(_BIAS + sum(weight * parts[name].log() for name, weight in _WEIGHTS.items()))


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
