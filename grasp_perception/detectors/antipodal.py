"""The antipodal search: what stands between the fingers, seen along the closing direction.

For a pose of the gripper the space is sampled along the closing direction x. The run of solid samples around the
middle is the thing to be held, the free runs beside it are where the fingers go. How the ends of the run move with y
and z gives the contact normals.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from grasp_core.gripper import Gripper
from grasp_perception.detectors.heightmap import HeightMap
from grasp_perception.detectors.params import AnalyticParams

_STEP = 0.005  # m between the samples of the coarse search
_SIDE = 16  # samples per side, the middle included: 75 mm
_CHUNK = 64  # seeds at a time: what they need stays in the cache
_UNIT = 0.00025  # m, height resolution of the coarse search
_FAR = 15_000  # in _UNIT
_GATHER = 0x0102040810204080  # moves bit 0 of each of eight bytes into the top byte, the first byte lowest
_FINE_STEP = 0.0025
_FINE_REACH = 0.0675  # m to each side
_PAD_Y = (-0.9, -0.45, 0.0, 0.45, 0.9)  # of the half width of a finger
_PAD_Z = (-0.001, -0.009, -0.017)  # m from the tips
_PATCH = 0.004  # m: the pad touches what lies within this of the outermost point
_ABOVE = 0.004  # m between the samples of the height of the object over the tips


@dataclass(frozen=True)
class Contacts:
    """N grasps, centred between their contacts, with what was found about the contacts.

    Attributes:
        R: (N, 3, 3), t: (N, 3): pose of the grasp frame.
        extent: (N,) thickness of the object along the closing direction, m.
        clearance: (N,) free space between each finger and the object, m; negative where the fingers do not fit.
        friction: (N,) margin to the friction cone at the worse contact, in [0, 1].
        wedge: (N,) margin to the friction cone where the object widens towards the fingertips, in [0, 1]: closing
            on the upper half of a ball pushes it out of the fingers.
        coverage: (N,) share of the pads that touches, in [0, 1].
        fill: (N,) share of the space between the pads that is solid, in [0, 1].
        fill_edge: (N,) the same along the emptier edge of the fingers, in [0, 1]: low where only a corner is held.
        depth: (N,) height of the object over the fingertips along the approach, m.
        unseen: (N,) share of unseen cells beside the two contacts, in [0, 1].
        single: (N,) share of the space between the fingers that belongs to one segment, in [0, 1].
        segment: (N,) that segment.
    """

    R: torch.Tensor
    t: torch.Tensor
    extent: torch.Tensor
    clearance: torch.Tensor
    friction: torch.Tensor
    wedge: torch.Tensor
    coverage: torch.Tensor
    fill: torch.Tensor
    fill_edge: torch.Tensor
    depth: torch.Tensor
    unseen: torch.Tensor
    single: torch.Tensor
    segment: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> "Contacts":
        return Contacts(*(value[index] for value in self.__dict__.values()))

    @classmethod
    def concatenate(cls, parts: list["Contacts"]) -> "Contacts":
        """All of them in order."""
        return cls(*(torch.cat(values) for values in zip(*(p.__dict__.values() for p in parts), strict=True)))


@lru_cache(maxsize=2)
def _runs(device: str) -> torch.Tensor:
    """Per pattern of ``_SIDE`` bits: length of the run of ones from bit 0, and of the zeros after it, (2, 2^16)."""
    bits = (torch.arange(2**_SIDE)[:, None] >> torch.arange(_SIDE)) & 1
    run = bits.cumprod(1).sum(1)
    after = torch.arange(_SIDE) >= run[:, None]
    gap = ((bits == 0) | ~after).long().cumprod(1).sum(1) - run
    return torch.stack([run, gap]).to(device=device, dtype=torch.int8)


def _packed(flags: torch.Tensor) -> torch.Tensor:
    """The last axis of bool (..., 16) as the bits of an int64 (...), the first flag lowest."""
    words = flags.view(torch.uint8).view(torch.int64)  # eight flags per word, one per byte
    low = ((words * _GATHER) >> 56) & 0xFF
    return low[..., 0] | (low[..., 1] << 8)


def _sampled(
    scene: HeightMap, seeds: torch.Tensor, R: torch.Tensor, depths: torch.Tensor, floor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Solid run at the middle and free run after it, (S, A, D, 2) int8 samples, on the +x and the -x side.

    Cells are integers here (seed cell + offset), and heights are counted in ``_UNIT``: half the memory of floats.
    """
    x = torch.arange(_SIDE, device=seeds.device) * _STEP
    sides = torch.stack([x, -x])[None, None, None, :, :, None] * R[:, :, None, None, None, :, 0]
    offset = sides + (R[:, :, None, :, 2] * depths[:, None])[:, :, :, None, None, :]  # (1|S, A, D, 2, X, 3)
    cells = torch.round(offset[..., :2] / scene.cell).to(torch.int32)
    cells = cells[..., 0] * scene.ny + cells[..., 1]
    rise = torch.round(offset[..., 2] / _UNIT).to(torch.int16)
    tops = torch.round((scene.height - scene.support) / _UNIT).clamp(-_FAR, _FAR).to(torch.int16)
    start = scene.index(seeds[:, :2]).to(torch.int32)
    level = torch.round((seeds[:, 2] - scene.support) / _UNIT).clamp(-_FAR, _FAR).to(torch.int16)
    lowest = round((floor - scene.support) / _UNIT)
    words = []
    for i in range(0, len(seeds), _CHUNK):
        part = slice(i, i + _CHUNK)
        mine = part if len(cells) > 1 else slice(None)
        index = start[part, None, None, None, None] + cells[mine]
        top = tops.index_select(0, index.clamp_(0, len(tops) - 1).view(-1)).view(index.shape)
        solid = top > (level[part, None, None, None, None] + rise[mine]).clamp_(min=lowest)
        words.append(_packed(solid))
    return _runs(str(seeds.device))[:, torch.cat(words)].unbind(0)


def coarse(
    scene: HeightMap, seeds: torch.Tensor, R: torch.Tensor, gripper: Gripper, p: AnalyticParams
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quick look at every seed, orientation and depth.

    Args:
        scene: the height map.
        seeds: (S, 3) surface points.
        R: (A, 3, 3) orientations for all seeds, or (S, A, 3, 3).

    Returns:
        quality (S, A), -inf where no depth is possible; fingertip position t (S, A, 3) of the best depth; and the
        offset of the object's middle along the closing direction, (S, A) in m.
    """
    R = R if R.dim() == 4 else R[None]
    depths = torch.tensor(p.depths, device=seeds.device, dtype=torch.float32)
    floor = scene.support + p.tip_clearance
    run, gap = (count.float() for count in _sampled(scene, seeds, R, depths, floor))

    extent = (run.sum(-1) - 1) * _STEP
    low = (gripper.finger.width / 2) * R[..., 2, 1].abs()[..., None]
    low = low + R[..., 2, 0].abs()[..., None] * (extent / 2 + gripper.finger.thickness + p.min_clearance)
    down = (-R[..., 2, 2]).clamp(min=0.2)
    reach = (seeds[:, 2, None, None] - floor - low) / down[..., None]  # (S, A, D): deepest allowed
    depth = torch.minimum(depths, reach)
    shallower = torch.cat([torch.zeros_like(depths[:1]), depths[:-1]])
    needed = (gripper.finger.thickness + 2 * p.min_clearance) / _STEP - 1
    open_end = run + gap >= _SIDE
    ok = ((gap >= needed) | (open_end & (run < _SIDE - 1))).all(-1) & (run.amin(-1) > 0)
    ok &= (extent <= gripper.max_width - 2 * p.min_clearance + _STEP) & (reach > shallower + 0.002)
    gap_m = torch.where(open_end, _SIDE, gap).amin(-1) * _STEP
    quality = (
        (depth / 0.03).clamp(max=1.0)
        - 1.0 * (extent / gripper.max_width)  # a local minimum over the in-plane angles is an antipodal pair
        - 0.2 * (run[..., 0] - run[..., 1]).abs() * _STEP / 0.04
        + 0.3 * (gap_m / 0.035).clamp(max=1.0)
        - 1.0 * (extent < 0.01).float()
        + 0.5 * down[..., None]
        - 0.3 * R[..., 2, 0].abs()[..., None]
    )
    quality, best = torch.where(ok, quality, -torch.inf).max(-1)
    pick = best[..., None]
    depth = depth.gather(-1, pick)[..., 0]
    middle = ((run[..., 0] - run[..., 1]) * (_STEP / 2)).gather(-1, pick)[..., 0]
    t = seeds[:, None] + R[..., 2] * depth[..., None]
    return quality, t, middle


def sieve(scene: HeightMap, R: torch.Tensor, t: torch.Tensor, gripper: Gripper, p: AnalyticParams) -> torch.Tensor:
    """Clearance (N,) in m of candidates R (N, 3, 3), t (N, 3) over the width of the fingers, at the tips only."""
    half = _SIDE
    x = torch.arange(-half, half + 1, device=t.device) * _STEP
    y = torch.tensor(_PAD_Y[::2], device=t.device) * gripper.finger.width / 2
    union = _between(scene, R, t, x, y, torch.tensor(_PAD_Z[:1], device=t.device))[0].any(1)
    return _fit(union[:, 0], half, _STEP, gripper, p)[1]


def refine(scene: HeightMap, R: torch.Tensor, t: torch.Tensor, gripper: Gripper, p: AnalyticParams) -> Contacts:
    """Close look at N candidates R (N, 3, 3), t (N, 3); the object's middle is near t along the closing direction."""
    half = round(_FINE_REACH / _FINE_STEP)
    x = torch.arange(-half, half + 1, device=t.device) * _FINE_STEP
    y = torch.tensor(_PAD_Y, device=t.device) * gripper.finger.width / 2
    z = torch.tensor(_PAD_Z, device=t.device)
    solid, cell = _between(scene, R, t, x, y, z)
    extent, clearance, right, left = _fit(solid.flatten(1, 2).any(1), half, _FINE_STEP, gripper, p)
    middle = (right - left) * (_FINE_STEP / 2)

    k = torch.arange(-half, half + 1, device=t.device)
    inside = solid & ((k > -left[:, None]) & (k < right[:, None]))[:, None, None]
    ends = [torch.where(inside, k * s, -10_000).amax(-1) * _FINE_STEP for s in (1, -1)]  # (N, Y, Z): end of the run
    sides = [_contact(end, y, z, p.friction) for end in ends]
    friction = torch.minimum(sides[0][0], sides[1][0])
    coverage = torch.minimum(sides[0][1], sides[1][1])

    full = inside.sum(-1).sum(-1) / (len(_PAD_Z) * (right + left - 1).clamp(min=1.0))[:, None]  # (N, Y)

    cell = cell[:, len(_PAD_Y) // 2, 0].long()  # the middle line at the tips
    rows = torch.arange(len(t), device=t.device)
    beside = [(half + s * (n.long() + 2)).clamp(0, 2 * half) for s, n in ((1, right), (-1, left))]
    unseen = sum(scene.unknown[cell[rows, b]] for b in beside) / 2
    single, segment = _dominant(scene.label[cell[:, ::4]], inside[:, len(_PAD_Y) // 2, 0, ::4])
    t = t + R[:, :, 0] * middle[:, None]
    return Contacts(
        R=R,
        t=t,
        extent=extent,
        clearance=clearance,
        friction=friction,
        wedge=_wedge(ends, z, p.friction),
        coverage=coverage,
        fill=full.mean(1),
        fill_edge=torch.minimum(full[:, 0], full[:, -1]),
        depth=_depth(scene, R, t, gripper),
        unseen=unseen,
        single=single,
        segment=segment,
    )


def _between(
    scene: HeightMap, R: torch.Tensor, t: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which samples (N, Y, Z, X) of the space between the fingers are solid, and their cells; the support is not."""
    across = (t - torch.cat([scene.origin, t.new_zeros(1)]))[:, None, None, :, None] + (
        R[:, None, None, :, 1] * y[:, None, None] + R[:, None, None, :, 2] * z[None, :, None]
    )[..., None]  # (N, Y, Z, 3, 1)
    along = R[:, None, None, :, 0, None] * x  # (N, 1, 1, 3, X)
    ix, iy = (((across[..., i, :] + along[..., i, :]) / scene.cell).int() for i in (0, 1))
    cell = ix.clamp_(0, scene.nx - 1).mul_(scene.ny).add_(iy.clamp_(0, scene.ny - 1))
    top = scene.height.index_select(0, cell.view(-1)).view(cell.shape)
    level = (across[..., 2, :] + along[..., 2, :]).clamp_(min=scene.support + 0.001)
    return top > level, cell


def _fit(
    union: torch.Tensor, half: int, step: float, gripper: Gripper, p: AnalyticParams
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Thickness of the object around the middle of (N, 2 * half + 1) samples, free space beside it (m), run lengths."""
    right, gap_right = _run_and_gap(union[:, half:])
    left, gap_left = _run_and_gap(union[:, : half + 1].flip(1))
    extent = (right + left - 1).clamp(min=0) * step
    room = (torch.minimum(gap_right, gap_left) * step - gripper.finger.thickness) / 2
    clearance = torch.minimum(room, (gripper.max_width - extent) / 2).clamp(max=p.clearance)
    return extent, torch.where((right > 0) & (left > 0), clearance, -1.0), right, left


def _run_and_gap(solid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number of leading True of (N, K), and of the False after them (K where they reach the end), float."""
    n, k = solid.shape
    i = torch.arange(k, device=solid.device).expand(n, k)
    run = torch.where(solid, k, i).amin(1)
    after = torch.where(solid & (i >= run[:, None]), i, 10 * k).amin(1)
    return run.float(), (after - run).clamp(max=k).float()


def _contact(end: torch.Tensor, y: torch.Tensor, z: torch.Tensor, friction: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Friction margin and touching share of one contact from the ends (N, Y, Z) of the run over the pad."""
    present = end > -1.0
    first = torch.where(present, end, -1.0).amax((1, 2), keepdim=True)
    weight = (present & (end > first - 0.012)).float()
    total = weight.sum((1, 2), keepdim=True).clamp(min=1.0)
    grid_y, grid_z = torch.meshgrid(y, z, indexing="ij")
    slopes = []
    for axis in (grid_y, grid_z):
        centred = axis - (weight * axis).sum((1, 2), keepdim=True) / total
        value = torch.where(present, end, 0.0)
        spread = (weight * centred * centred).sum((1, 2)).clamp(min=1e-9)
        slopes.append((weight * centred * value).sum((1, 2)) / spread)
    tangent = torch.hypot(slopes[0], slopes[1])
    coverage = (present & (end > first - _PATCH)).float().mean((1, 2))
    return (1.0 - tangent / friction).clamp(0.0, 1.0), coverage


def _wedge(ends: list[torch.Tensor], z: torch.Tensor, friction: float) -> torch.Tensor:
    """Margin (N,) to the friction cone where the ends (N, Y, Z) of the two runs widen towards the tips."""
    half = [end[..., :2].amax(1) for end in ends]  # (N, 2) at the tips and above
    slope = sum(h[:, 0] - h[:, 1] for h in half) / 2 / float(z[0] - z[1])
    above = torch.minimum(half[0][:, 1], half[1][:, 1]) > -1.0  # nothing above: the side of a flat thing
    return torch.where(above, (1.0 - slope / friction).clamp(0.0, 1.0), 1.0)


def _dominant(label: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Share and number of the most frequent label (N, K) among the samples ``inside``."""
    label = torch.where(inside, label, -1)
    same = (label[:, :, None] == label[:, None, :]).sum(-1) * inside
    count, where = same.max(1)
    return count / inside.sum(1).clamp(min=1), label.gather(1, where[:, None])[:, 0].clamp(min=0)


def _depth(scene: HeightMap, R: torch.Tensor, t: torch.Tensor, gripper: Gripper) -> torch.Tensor:
    """How far the solid reaches above the fingertips along the approach through the middle, m."""
    back = torch.arange(0.0, gripper.finger.length, _ABOVE, device=t.device)
    inside = scene.solid(t[:, None] - R[:, None, :, 2] * back[:, None])
    return (torch.where(inside, back, 0.0)).amax(1)
