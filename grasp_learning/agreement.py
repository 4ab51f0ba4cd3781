"""Do labels say what physics says? Candidates drawn from what the labels call good, middling and bad, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.gripper import Gripper
from grasp_eval.results import wilson
from grasp_learning.engine import hand_opening
from grasp_learning.object_labels import NO_GRASP, PER_POINT, SHAPE, ObjectLabels
from grasp_learning.physics import FloatingWorld, Outcome
from grasp_perception.dense.template import DEPTHS, rotations, views
from grasp_sim.objects import ObjectSpec

GOOD_FRICTION = 0.4
GOOD, MIDDLING, COLLIDING, BAD = "good", "middling", "colliding", "no contacts"
STRATA = (GOOD, MIDDLING, COLLIDING, BAD)
DRAWN = {GOOD: 2, MIDDLING: 2, COLLIDING: 1, BAD: 1}  # shares: as many bad ones, of two kinds, as good ones


@dataclass(frozen=True)
class Sample:
    """A candidate that was executed. friction: of its label, inf for no grasp."""

    name: str
    family: str
    stratum: str
    index: int  # in (P, VIEWS, ANGLES, DEPTHS)
    friction: float
    outcome: Outcome


def strata(labels: ObjectLabels) -> dict[str, NDArray[np.int64]]:
    """Flat indices of the candidates of each stratum; those that would come from inside belong to none."""
    code = labels.friction_code
    hit = np.unpackbits(labels.collision_bits, axis=1, count=PER_POINT).astype(bool)
    facing = np.repeat(labels.normals @ views().T > 0.0, PER_POINT // SHAPE[0], axis=1)
    grasp = code != NO_GRASP
    good = labels.friction().reshape(code.shape) <= GOOD_FRICTION
    masks = (good & ~hit, grasp & ~good & ~hit, grasp & hit, facing & ~grasp)
    return {name: np.flatnonzero(mask) for name, mask in zip(STRATA, masks, strict=True)}


def draw(labels: ObjectLabels, count: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """About ``count`` (stratum, index), without repetition; a stratum with too few gives what it has."""
    drawn = []
    for name, members in strata(labels).items():
        wanted = round(count * DRAWN[name] / sum(DRAWN.values()))
        picked = rng.choice(members, min(wanted, len(members)), replace=False)
        drawn += [(name, int(index)) for index in picked]
    return drawn


def execute(spec: ObjectSpec, labels: ObjectLabels, gripper: Gripper, drawn: Sequence[tuple[str, int]]) -> list[Sample]:
    """Every drawn candidate on the object alone. A candidate without a width comes with the gripper wide open."""
    world = FloatingWorld(spec, gripper)
    samples = []
    for stratum, index in drawn:
        point, view, angle, depth = np.unravel_index(index, (len(labels), *SHAPE))
        R = rotations()[view, angle]
        T = se3.make(R, labels.points[point] + DEPTHS[depth] * R[:, 2])
        friction = float(labels.friction([point])[0, view, angle, depth])
        width = labels.width([point])[0, view, angle, depth]
        opening = float(hand_opening(width, gripper)) if np.isfinite(friction) else gripper.max_width
        samples.append(Sample(spec.name, spec.family, stratum, index, friction, world.grasp(T, opening)))
    return samples


def summary(samples: Iterable[Sample]) -> dict:
    """Plain numbers: strata (name -> shares), agreement (of good, colliding and bad ones), by family, reasons."""
    samples = list(samples)
    families = sorted({s.family for s in samples})
    return {
        "agreement": _agreement(samples),
        "families": {family: _agreement([s for s in samples if s.family == family]) for family in families},
        "strata": {name: _stratum([s for s in samples if s.stratum == name]) for name in STRATA},
    }


def agrees(sample: Sample) -> bool | None:
    """Whether physics did what the label says; None where it says neither good nor bad."""
    return None if sample.stratum == MIDDLING else sample.outcome.good == (sample.stratum == GOOD)


def _agreement(samples: Sequence[Sample]) -> dict:
    verdicts = [v for v in map(agrees, samples) if v is not None]
    return share(sum(verdicts), len(verdicts))


def _stratum(samples: Sequence[Sample]) -> dict:
    reasons = [s.outcome.why for s in samples if s.outcome.why]
    return {
        "held": share(sum(s.outcome.held for s in samples), len(samples)),
        "untouched": share(sum(not s.outcome.touched for s in samples), len(samples)),
        "good": share(sum(s.outcome.good for s in samples), len(samples)),
        "reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
    }


def share(part: int, whole: int) -> dict:
    """count, of, rate (None of nothing) and the Wilson interval at 95 %."""
    return {"count": part, "of": whole, "rate": part / whole if whole else None, "wilson": list(wilson(part, whole))}
