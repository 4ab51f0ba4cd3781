"""Grasps that a scene's labels call good, executed by the free hand in the scene itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_learning.agreement import GOOD_FRICTION, share
from grasp_learning.engine import hand_opening
from grasp_learning.scenes.best import Candidates
from grasp_learning.scenes.generator import Generator
from grasp_learning.scenes.scene_files import SceneSample
from grasp_sim.hand_attempt import HandMotion, Trace, attempt
from grasp_sim.hand_world import HandWorld


@dataclass(frozen=True)
class Executed:
    """One grasp. held: its object is between the fingers after lift and shaking. touched: what the hand met before.

    why: what went wrong, in a few words; empty when nothing did.
    """

    kind: str
    shape: str
    held: bool
    touched: tuple[str, ...]
    why: str = ""


def execute(generator: Generator, sample: SceneSample, count: int, rng: np.random.Generator) -> list[Executed]:
    """``count`` random free grasps of the scene with friction of at most GOOD_FRICTION, each in the untouched scene.

    Every object with such grasps is as likely as any other.
    """
    labels = sample.labels
    candidates = Candidates.of(labels)
    candidates = candidates[candidates.friction <= GOOD_FRICTION]
    if not len(candidates):
        return []
    weight = 1.0 / np.bincount(labels.owner[candidates.point])[labels.owner[candidates.point]]
    candidates = candidates[rng.choice(len(candidates), count, p=weight / weight.sum())]
    grasps, gripper = candidates.grasps(labels), generator.gripper
    arrangement = generator.arrangement(sample.about["index"], sample.about["attempt"])
    scene = arrangement.scene
    targets = [obj.name for obj, shape in zip(scene.objects, arrangement.shapes, strict=True) if shape]
    world = HandWorld(gripper, scene.objects, scene.poses, arrangement.cell, scene.with_bin)
    start = world.save()
    done = []
    for R, t, opening, owner in zip(
        grasps.R, grasps.t, hand_opening(candidates.width, gripper), grasps.track_id, strict=True
    ):
        world.restore(start)
        trace = attempt(world, se3.make(R, t), float(opening), HandMotion())
        why = _why(trace, targets[owner])
        touched = tuple(sorted({*trace.touched, *trace.start_touched}))
        done.append(Executed(scene.kind, labels.names[owner], not why, touched, why))
    return done


def _why(trace: Trace, target: str) -> str:
    if trace.unphysical:
        return "unphysical"
    if trace.blocked:
        return "blocked"
    stages = {"not gripped": trace.gripped, "not lifted": trace.lifted, "not held": trace.held}
    return next((what for what, names in stages.items() if target not in names), "")


def summary(executed: Iterable[Executed]) -> list[str]:
    """Lines: how many were held and untouched, in all and by kind of scene, and what went wrong."""
    executed = list(executed)
    lines = [_line("all", executed)]
    lines += [_line(kind, [e for e in executed if e.kind == kind]) for kind in sorted({e.kind for e in executed})]
    reasons = Counter(e.why for e in executed if e.why)
    return lines + [f"    {count} x {why}" for why, count in sorted(reasons.items())]


def _line(name: str, executed: list[Executed]) -> str:
    shares = [
        share(sum(e.held for e in executed), len(executed)),
        share(sum(not e.touched for e in executed), len(executed)),
    ]
    texts = [
        "–"
        if s["rate"] is None
        else f"{100 * s['rate']:.1f} % [{100 * s['wilson'][0]:.0f}, {100 * s['wilson'][1]:.0f}]"
        for s in shares
    ]
    return f"{name:<8} {len(executed):>5} grasps   held {texts[0]:<18} untouched {texts[1]}"
