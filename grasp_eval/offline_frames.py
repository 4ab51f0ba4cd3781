"""What `seegrasp replay --offline` writes of every frame, and how it judges the grasps of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from grasp_core import se3
from grasp_core.cloud import Cloud
from grasp_core.errors import FrameError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_eval.bench.coverage import covered_surface
from grasp_eval.bench.stability import stability
from grasp_eval.offline_objects import KnownObjects
from grasp_eval.offline_place import Placement
from grasp_perception.detectors.support import estimate_height

STAGES = ("convert", "cloud", "detect")
STABLE = ("stable_all", "stable_top", "displacement_mm")
MOVED = ("camera_moved_mm", "camera_turned_deg")
JUDGED = (*STABLE, *MOVED, "covered", "ap")
STILL_MM, STILL_DEG = 5.0, 1.0  # since the frame before: less is standing still
COLUMNS = (
    *("index", "stamp_ns", "points", "grasps", "top_score"),
    *(*(f"{s}_ms" for s in STAGES), "total_ms", *JUDGED, "error"),
)
ABOVE = 0.01  # m over the support from which on a point belongs to an object


@dataclass
class Frame:
    """Results of one frame.

    Attributes:
        stable_all, stable_top: shares of the best 10 grasps of the frame before that are found again, among all of this
            frame and among its best 10. displacement_mm: median distance of those found among all. See bench.stability.
        camera_moved_mm, camera_turned_deg: since that frame; another view shows other surface.
        covered: share of the object points of the cloud within 2 cm of a grasp. See bench.coverage.
        ap, ap_mu: average precision, its parts by friction; None without known objects. See bench.ap.
    """

    index: int
    stamp_ns: int
    points: int = 0
    grasps: int = 0
    top_score: float | None = None
    timings: dict[str, float] = field(default_factory=dict)
    stable_all: float | None = None
    stable_top: float | None = None
    displacement_mm: float | None = None
    camera_moved_mm: float | None = None
    camera_turned_deg: float | None = None
    covered: float | None = None
    ap: float | None = None
    ap_mu: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def total_ms(self) -> float | None:
        """Sum of the stages."""
        return sum(self.timings.values()) if self.timings else None

    @property
    def still(self) -> bool:
        """Whether the camera stood where it was in the frame before."""
        moved, turned = self.camera_moved_mm, self.camera_turned_deg
        return moved is not None and moved < STILL_MM and turned is not None and turned < STILL_DEG

    def row(self) -> dict[str, object]:
        """Row of frames.csv; empty where there is nothing to tell."""
        row: dict[str, object] = {"index": self.index, "stamp_ns": self.stamp_ns, "points": self.points}
        row |= {"grasps": self.grasps, "error": self.error}
        row |= {f"{name}_ms": round(value, 2) for name, value in self.timings.items()}
        row["total_ms"] = "" if self.total_ms is None else round(self.total_ms, 2)
        for name in ("top_score", *JUDGED):
            value = getattr(self, name)
            row[name] = "" if value is None else round(value, 4)
        return row


class Judge:
    """Judges the grasps of one frame after the other; not timed. `problems`: what could not be judged, and why."""

    def __init__(self, objects: KnownObjects | None, gripper: Gripper) -> None:
        self._objects, self._gripper = objects, gripper
        self._before: tuple[Grasps, int, np.ndarray] | None = None
        self.problems: list[str] = []

    def __call__(self, frame: Frame, cloud: Cloud, grasps: Grasps, place: Placement, T_base_cam: np.ndarray) -> None:
        """Fill in what JUDGED names, from the frame's cloud and grasps in the base frame."""
        self._compare(frame, grasps, place.tables, T_base_cam)
        floor = estimate_height(cloud.points, place.region)
        on_objects = place.region.contains(cloud.points) & (cloud.points[:, 2] > floor + ABOVE)
        frame.covered = covered_surface(grasps, cloud.points[on_objects])
        if self._objects is not None:
            self._score(frame, grasps, place, floor)

    def _compare(self, frame: Frame, grasps: Grasps, table: int, T_base_cam: np.ndarray) -> None:
        before, self._before = self._before, (grasps, table, T_base_cam)
        if before is None or before[1] != table:  # nothing before, or in another frame of reference
            return
        frame.camera_moved_mm = 1e3 * float(np.linalg.norm(T_base_cam[:3, 3] - before[2][:3, 3]))
        frame.camera_turned_deg = float(np.rad2deg(se3.rotation_angle(before[2][:3, :3], T_base_cam[:3, :3])))
        found = stability(before[0], grasps)
        if found is not None:
            frame.stable_all, frame.stable_top = found.among_all, found.among_top
            frame.displacement_mm = None if found.displacement is None else 1e3 * found.displacement

    def _score(self, frame: Frame, grasps: Grasps, place: Placement, floor: float) -> None:
        if place.tables:
            self._problem("no AP: the objects' poses need a camera pose, in the bag or by --camera-pose")
            return
        try:
            found = self._objects.ap(grasps, place.frame, frame.stamp_ns, floor, self._gripper.max_width)
        except FrameError as error:
            self._problem(f"no AP for frame {frame.index} and maybe others: {error}")
            return
        frame.ap, frame.ap_mu = found["ap"], found["ap_mu"]

    def _problem(self, text: str) -> None:
        if not self.problems:
            self.problems.append(text)


def metrics(frames: Iterable[Frame]) -> dict[str, dict[str, float]]:
    """n, min, median, mean and max over the frames that were used: of grasps and of what JUDGED names.

    The same of stability over the frames before which the camera stood still: ``stable_all_still`` and so on. And
    ``ap_mu``: means by friction. What no frame has is left out.
    """
    used = [f for f in frames if not f.error]
    columns = {name: [getattr(f, name) for f in used] for name in ("grasps", *JUDGED)}
    columns |= {f"{name}_still": [getattr(f, name) for f in used if f.still] for name in STABLE}
    told = {name: [v for v in values if v is not None] for name, values in columns.items()}
    found = {name: _spread(values) for name, values in told.items() if values}
    scored = [f.ap_mu for f in used if f.ap_mu]
    if scored:
        found["ap_mu"] = {mu: float(np.mean([part[mu] for part in scored])) for mu in scored[0]}
    return found


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "min": float(np.min(values)),
        "median": float(np.median(values)),
        "mean": float(np.mean(values)),
        "max": float(np.max(values)),
    }
