"""How far to trust a calibration, and where it cannot be trusted, what is likely wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from grasp_core import se3
from grasp_core.errors import InputError
from hand_eye import board_poses, refine
from hand_eye.solve import MOST_LEFT_OUT, Solution, solve
from hand_eye.views import Views

WANTED_MM, WANTED_DEG = 1.0, 0.15  # uncertainty (one standard deviation) of a result to be trusted
MOST_MM, MOST_DEG = 10.0, 1.0  # residual that no sound arm and camera leave
MOST_PIXELS = 1.0  # scatter of a view's own corners: more is a bent board, a wrong lens model or a moving picture
FEW_VIEWS = 8
SIGNIFICANT = 4.0  # standard deviations
LEAST_SCALE, LEAST_ZOOM = 0.004, 0.01  # parts: a print or a focal length that is off by less does no harm
ALIKE = 1.0  # in the log of the arm's scatter, position and angle together: explanations that are about as good
SUSPECT_MM = 3.0  # residual from which on other explanations are tried
MOVED_MM = 3.0

Word = Literal["trust", "collect_more", "wrong"]


@dataclass(frozen=True)
class Verdict:
    """`trust`, `collect_more` or `wrong`, and why: what to do about it stands in each reason."""

    word: Word
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = {"trust": "trust it", "collect_more": "collect more views", "wrong": "something is wrong"}[self.word]
        return "\n".join([f"verdict: {said}", *(f"  - {reason}" for reason in self.reasons)])


def judge(solution: Solution) -> Verdict:
    """The verdict on a solution."""
    wrong = tuple(_wrong(solution))
    if wrong:
        return Verdict("wrong", wrong)
    more = tuple(_missing(solution))
    return Verdict("collect_more", more) if more else Verdict("trust")


def _missing(solution: Solution) -> Iterator[str]:
    used = int(solution.used.sum())
    if used < FEW_VIEWS:
        yield f"only {used} good views: {FEW_VIEWS} at least are needed to see errors in them, 15 are better"
    mm, deg = solution.uncertainty
    if not (np.isfinite(mm) and np.isfinite(deg)):
        yield "the views leave something undetermined: turn about other axes"
    elif mm > WANTED_MM or deg > WANTED_DEG:
        yield (
            f"the result is uncertain by {mm:.2f} mm and {deg:.3f} deg (wanted: {WANTED_MM:g} mm, {WANTED_DEG:g} deg): "
            "more views, with larger turns and nearer to the board"
        )


def _wrong(solution: Solution) -> Iterator[str]:
    mm, deg = solution.residual
    left_out = int((~solution.used).sum())
    size = _size(solution)
    if size:
        yield size
    if solution.poses.sigma > MOST_PIXELS:
        yield (
            f"corners scatter by {solution.poses.sigma:.2f} px around a flat board: the board is not flat, the "
            "pictures are not sharp, or camera_info has another lens or resolution"
        )
    if mm > SUSPECT_MM or left_out:
        yield from _moved(solution)
    if mm > SUSPECT_MM:
        yield from _other_mode(solution)
    if mm > MOST_MM or deg > MOST_DEG:
        yield (
            f"the arm's poses and the pictures disagree by {mm:.1f} mm and {deg:.2f} deg: is the board (or the camera) "
            "fixed, are the frames the right ones, are pictures and transforms on the same clock?"
        )
    elif left_out > MOST_LEFT_OUT * len(solution.views):
        yield f"{left_out} of {len(solution.views)} views do not fit the others"


def _size(solution: Solution) -> str:
    """What a wrong size of the squares, or wrong focal lengths, would explain; empty where nothing speaks for it.

    Both let the board appear nearer or farther than it is, so where they explain the views about equally well both are
    named, the better one first.
    """
    views = solution.views.keep(solution.used)
    poses = replace(
        solution.poses,
        T_cam_board=solution.poses.T_cam_board[solution.used],
        rms=solution.poses.rms[solution.used],
    )
    step = 1 + refine.Zoom.STEP
    zoomed = replace(views, K=views.K * np.array([[step, 1, 1], [1, step, 1], [1, 1, 1]]))
    zoomed_poses = board_poses.fit(zoomed, poses.T_cam_board).T_cam_board
    scale = _extra(refine.Scale(views, poses), solution)
    zoom = _extra(refine.Zoom(views, poses, zoomed_poses), solution)
    found = []
    if scale.sure and abs(scale.value) > LEAST_SCALE:
        found.append(
            (
                scale.left,
                f"the squares seem to be {_compared(scale.value, 'larger', 'smaller')} than the board's file says: "
                "measure the print and correct `square` and `marker`",
            )
        )
    if zoom.sure and abs(zoom.value) > LEAST_ZOOM:
        found.append(
            (
                zoom.left,
                f"the focal length seems to be {_compared(zoom.value, 'longer', 'shorter')} than camera_info says: is "
                "it of this stream and resolution?",
            )
        )
    found.sort()
    return "; or ".join(text for left, text in found if left < found[0][0] + ALIKE)


def _compared(part: float, more: str, less: str) -> str:
    return f"{100 * abs(part):.1f} % {more if part > 0 else less}"


@dataclass(frozen=True)
class _Extra:
    """One more unknown: its value, whether it is surely not 0, and the log of the scatter that it leaves the arm."""

    value: float
    sure: bool
    left: float


def _extra(unknowns: refine.Unknowns, solution: Solution) -> _Extra:
    fit = refine.by_poses(unknowns, solution.X, solution.Y)
    left = float(np.log(fit.scatter.position) + np.log(fit.scatter.angle))
    if fit.covariance is None:
        return _Extra(0.0, False, left)
    value = float(fit.extra[0])
    return _Extra(value, abs(value) > SIGNIFICANT * np.sqrt(fit.covariance[12, 12]), left)


def _other_mode(solution: Solution) -> Iterator[str]:
    views = solution.views
    other = "eye_to_hand" if views.mode == "eye_in_hand" else "eye_in_hand"
    try:
        found = solve(replace(views, mode=other))
    except InputError:
        return
    if found.residual[0] < solution.residual[0] / 3 and found.residual[0] < MOST_MM:
        yield f"the views fit {other} far better: is the mode right, or are the arm's poses inverted?"


def _moved(solution: Solution) -> Iterator[str]:
    """Whether the board's place, as the views have it, jumps at one of them."""
    views = solution.views
    if len(views) < 2 * 3:
        return
    where = _board_places(views, solution)
    best, at = 0.0, 0
    for k in range(3, len(where) - 2):
        before, after = where[:k], where[k:]
        apart = float(np.linalg.norm(np.median(after, axis=0) - np.median(before, axis=0)))
        scatter = np.sqrt(np.median(_squares(before)) / len(before) + np.median(_squares(after)) / len(after))
        if apart * 1e3 > MOVED_MM and apart > SIGNIFICANT * 1.5 * scatter and apart / scatter > best:
            best, at = apart / scatter, k
    if best:
        apart = np.linalg.norm(np.median(where[at:], axis=0) - np.median(where[:at], axis=0)) * 1e3
        yield (
            f"between views {at} and {at + 1} the board or the camera moved by about {apart:.0f} mm: fix both and "
            "start anew"
        )


def _squares(places: np.ndarray) -> np.ndarray:
    return ((places - np.median(places, axis=0)) ** 2).sum(axis=1)


def _board_places(views: Views, solution: Solution) -> np.ndarray:
    """(V, 3) m: the board's centre in what it is fixed to, by each view."""
    T = se3.inverse(views.T_parent_other) @ solution.X @ solution.poses.T_cam_board
    return se3.transform(T, views.board.mean(axis=0)[None])[:, 0]
