"""From what is known about a grasp to one number, and the choice among neighbours."""

import math

import torch

from grasp_core.gripper import Gripper
from grasp_perception.detectors.antipodal import Contacts
from grasp_perception.detectors.heightmap import HeightMap

# Success of a grasp as a logistic function of the logarithms of its factors: fitted (ridge, weights >= 0) to 365 picks
# of the simulated arm from 30 bins of mixed objects, a third of them not the best grasp; area under the ROC curve 0.94
# on bins left out. Upright, level and stability (a parameter) weigh more than fitted: the bins held few heavy objects.
_BIAS = 4.5
_WEIGHTS = {
    "friction": 0.3,
    "wedge": 0.7,
    "coverage": 1.3,
    "fill": 1.0,
    "fill_edge": 1.3,
    "depth": 0.3,
    "share": 1.2,
    "clearance": 0.3,
    "single": 1.3,
    "seen": 2.8,
    "width": 1.4,
    "stability": 0.0,  # a parameter
    "upright": 0.1,
    "level": 0.1,
    "size": 1.0,
}
_CONSIDERED = 2500  # best grasps that enter the suppression
_LEAST = 0.05  # no factor counts as less
_GOOD_DEPTH = 0.02  # m
_GOOD_SHARE = 0.6  # of the height above the support of an object no taller than _TALL
_TALL = 0.06  # m
_GOOD_FILL = 0.8
_GOOD_FILL_EDGE = 0.6
_GOOD_CLEARANCE = 0.006  # m
LEVER = 0.06  # m from the closing plane at which the weight of the object is held badly
_THIN = 0.010  # m
_LARGE = 0.35  # m: walls and furniture


def stability(scene: HeightMap, contacts: Contacts) -> torch.Tensor:
    """1 where the closing plane passes through the segment's estimated centre of mass, 0 from ``LEVER`` on, (N,)."""
    arm = scene.centroid[contacts.segment] - contacts.t
    across = (arm * contacts.R[:, :, 1]).sum(1).abs()
    return torch.where(contacts.segment > 0, (1.0 - across / LEVER).clamp(0.0, 1.0), 0.0)


def factors(
    scene: HeightMap, contacts: Contacts, unseen_tips: torch.Tensor, stable: torch.Tensor, gripper: Gripper
) -> dict[str, torch.Tensor]:
    """What speaks for N grasps, each (N,) in (0, 1]."""
    thick = (contacts.extent / _THIN).clamp(max=1.0)
    slack = ((gripper.max_width - contacts.extent) / 0.02).clamp(0.0, 1.0)
    height = (contacts.t[:, 2] - scene.support + contacts.depth).clamp(0.005, _TALL)
    values = {
        "friction": contacts.friction,
        "wedge": contacts.wedge,
        "coverage": contacts.coverage / 0.6,
        "fill": contacts.fill / _GOOD_FILL,
        "fill_edge": contacts.fill_edge / _GOOD_FILL_EDGE,
        "depth": contacts.depth / _GOOD_DEPTH,
        "share": contacts.depth / height / _GOOD_SHARE,
        "clearance": contacts.clearance / _GOOD_CLEARANCE,
        "stability": stable,
        "upright": contacts.R[:, 2, 2].abs(),
        "level": 1.0 - contacts.R[:, 2, 0].abs(),
        "single": contacts.single,
        "seen": 1.0 - 0.4 * contacts.unseen - 0.6 * unseen_tips,
        "width": thick * slack,
        "size": torch.where(scene.extent[contacts.segment] > _LARGE, 0.2, 1.0),
    }
    return {name: value.clamp(_LEAST, 1.0) for name, value in values.items()}


def score(
    scene: HeightMap,
    contacts: Contacts,
    unseen_tips: torch.Tensor,
    stable: torch.Tensor,
    gripper: Gripper,
    stability_weight: float,
) -> torch.Tensor:
    """Probability of success (N,)."""
    parts = factors(scene, contacts, unseen_tips, stable, gripper)
    weights = _WEIGHTS | {"stability": stability_weight}
    return torch.sigmoid(_BIAS + sum(weight * parts[name].log() for name, weight in weights.items()))


def suppress(
    R: torch.Tensor, t: torch.Tensor, score: torch.Tensor, translation: float, rotation: float, limit: int
) -> torch.Tensor:
    """Indices of at most ``limit`` grasps, best first, none near a better one in both place (m) and angle (rad).

    A grasp turned by half a turn about its approach is the same grasp.
    """
    order = torch.argsort(-score, stable=True)[:_CONSIDERED]
    R, t = R[order], t[order] - t.mean(0)
    same = R.flatten(1)
    swapped = same * same.new_tensor([-1.0, -1.0, 1.0]).repeat(3)
    trace = torch.maximum(same @ same.T, swapped @ same.T)
    square = (t * t).sum(1)
    distance = square[:, None] + square - 2.0 * (t @ t.T)
    near = (distance < translation**2) & (trace > 1.0 + 2.0 * math.cos(rotation))
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
