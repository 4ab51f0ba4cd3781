"""Which pictures become views: the arm and the board at rest, all sharp, enough of the board, and something new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from hand_eye import geometry
from hand_eye.detection import Detection, Lens
from hand_eye.views import View

HOLD_S = 0.4  # s that everything must have stood still
FEWEST_SHOTS = 3  # in that time
GAP_S = 1.0  # s without a picture, after which waiting begins anew
STILL_M, STILL_RAD = 3e-4, float(np.deg2rad(0.03))  # of the flange while it stands still
STILL_PX = 0.7  # of the corners
MOST_BLUR = 1.5  # px
LEAST_PART = 0.5  # of the board's corners
NEW_M, NEW_RAD = 0.02, float(np.deg2rad(8.0))  # from all other views: at least one of the two


@dataclass(frozen=True)
class Shot:
    """A picture in which the board was found, and the arm at its time; joints (dof,) rad."""

    stamp_ns: int
    detection: Detection
    T_base_flange: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What became of a picture: a view, or why not. `waiting`: nothing is wrong, it is only not yet time."""

    view: View | None
    text: str
    waiting: bool = False


class Gate:
    """Takes pictures one by one; answers with a view when everything has stood still for a while."""

    def __init__(self, corners: int, lens: Lens) -> None:
        """`corners`: of the whole board."""
        self._corners, self._lens = corners, lens
        self._shots: list[Shot] = []

    def clear(self) -> None:
        """Begin waiting anew, as when the board was out of view."""
        self._shots.clear()

    def offer(self, shot: Shot, taken: Sequence[View]) -> Answer:
        """Judge the newest picture against those before it and the views `taken` so far."""
        if self._shots and not 0 < shot.stamp_ns - self._shots[-1].stamp_ns < GAP_S * 1e9:
            self.clear()
        poor = self._poor(shot.detection)
        if poor:
            self.clear()
            return Answer(None, poor)
        self._shots.append(shot)
        moving = self._moving()
        if moving:
            self._shots = [shot]
            return Answer(None, moving, waiting=True)
        similar = _similar(shot.T_base_flange, taken)
        if similar:
            return Answer(None, similar)
        held = (shot.stamp_ns - self._shots[0].stamp_ns) * 1e-9
        if held < HOLD_S or len(self._shots) < FEWEST_SHOTS:
            return Answer(None, f"hold still: {max(0.0, HOLD_S - held):.1f} s more", waiting=True)
        view = self._view()
        self.clear()
        return Answer(view, f"taken: {len(view.ids)} corners, edges {shot.detection.blur:.1f} px wide")

    def _poor(self, found: Detection) -> str:
        if len(found.ids) < LEAST_PART * self._corners:
            return f"partial: only {len(found.ids)} of {self._corners} corners are in view"
        if found.blur > MOST_BLUR:
            return (
                f"blurred: edges are {found.blur:.1f} px wide (at most {MOST_BLUR}): more light, a shorter exposure, "
                "the right distance"
            )
        return ""

    def _moving(self) -> str:
        first, last = self._shots[0], self._shots[-1]
        way = geometry.motion(first.T_base_flange, last.T_base_flange)
        if np.linalg.norm(way[:3]) > STILL_M or np.linalg.norm(way[3:]) > STILL_RAD:
            return "moving: the arm is not at rest"
        _, i, j = np.intersect1d(first.detection.ids, last.detection.ids, return_indices=True)
        shift = np.linalg.norm(first.detection.pixels[i] - last.detection.pixels[j], axis=1)
        if len(shift) and np.median(shift) > STILL_PX:
            return f"moving: the board moves in the picture by {np.median(shift):.1f} px"
        return ""

    def _view(self) -> View:
        """The mean of what stood still: corners that all pictures have."""
        found = [shot.detection for shot in self._shots]
        ids = found[0].ids
        for other in found[1:]:
            ids = np.intersect1d(ids, other.ids)
        pixels = np.mean([d.pixels[np.searchsorted(d.ids, ids)] for d in map(_sorted, found)], axis=0)
        last = self._shots[-1]
        return View(last.T_base_flange, ids, self._lens.straight(pixels), last.joints, last.stamp_ns)


def _sorted(found: Detection) -> Detection:
    order = np.argsort(found.ids)
    return Detection(found.ids[order], found.pixels[order], found.blur)


def _similar(T_base_flange: np.ndarray, taken: Sequence[View]) -> str:
    if not taken:
        return ""
    others = np.array([view.T_base_flange for view in taken])
    metres = np.linalg.norm(others[:, :3, 3] - T_base_flange[:3, 3], axis=1)
    rad = se3.rotation_angle(others[:, :3, :3], T_base_flange[:3, :3])
    close = (metres < NEW_M) & (rad < NEW_RAD)
    if not close.any():
        return ""
    which = int(np.argmax(close)) + 1
    return f"too similar to view {which}: move on, and turn by {np.rad2deg(NEW_RAD):.0f} deg or more"
