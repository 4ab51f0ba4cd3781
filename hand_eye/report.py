"""A solution in words, and as the file that is kept."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Calibration, Error
from grasp_core.errors import InputError
from hand_eye.solve import Solution
from hand_eye.verdict import Verdict


def told(solution: Solution, verdict: Verdict, nominal: np.ndarray | None = None) -> str:
    """The solution as text; `nominal` (4, 4): where the camera was thought to be."""
    mm, deg = solution.residual
    sure_mm, sure_deg = solution.uncertainty
    scatter = solution.fit.scatter
    lines = ["view   residual"]
    for i, (view_mm, view_deg) in enumerate(zip(solution.mm, solution.deg, strict=True)):
        left_out = "" if solution.used[i] else "   left out: does not fit the others"
        lines.append(f"{i + 1:4}   {view_mm:6.2f} mm  {view_deg:6.3f} deg{left_out}")
    lines.append("")
    lines += [f"closed form {c.name:17} {c.rms:8.2f} px, {_apart(solution.X, c.X)}" for c in solution.candidates]
    lines.append("(px: reprojection error; then how far from the joint refinement)")
    lines.append("")
    x, y, z = solution.X[:3, 3]
    roll, pitch, yaw = np.rad2deg(_rpy(solution.X))
    lines += [
        f"camera      ({x:.5f}, {y:.5f}, {z:.5f}) m, roll {roll:.3f}, pitch {pitch:.3f}, yaw {yaw:.3f} deg",
        f"residual    {mm:.2f} mm, {deg:.3f} deg, {solution.pixels:.2f} px over {int(solution.used.sum())} views",
        f"uncertain   by {sure_mm:.2f} mm, {sure_deg:.3f} deg (one standard deviation)",
        f"corners     scatter by {solution.poses.sigma:.2f} px; the arm's poses by {scatter.position * 1e3:.2f} mm, "
        f"{np.rad2deg(scatter.angle):.3f} deg",
    ]
    if nominal is not None:
        lines.append(f"nominal     pose of the cell's profile: {_apart(solution.X, nominal)} from this")
    if solution.joint_offsets is not None:
        lines.append(
            f"offsets     of the joints: {', '.join(f'{v:.3f}' for v in np.rad2deg(solution.joint_offsets))} deg"
        )
    return "\n".join([*lines, "", str(verdict)])


def calibration(
    solution: Solution, verdict: Verdict, board: Board, frames: tuple[str, str], camera: str, serial: str, joints: tuple
) -> Calibration:
    """The file's content; `frames`: parent and child, `joints`: names.

    Raises:
        InputError: the verdict is `wrong`: such a result is not kept.
    """
    if verdict.word == "wrong" or not np.isfinite(solution.uncertainty).all():
        raise InputError("a result that something is wrong with is not kept")
    offsets = solution.joint_offsets
    last = int(solution.views.stamps.max())
    return Calibration(
        mode=solution.views.mode,
        parent_frame=frames[0],
        child_frame=frames[1],
        translation=tuple(solution.X[:3, 3].round(7).tolist()),
        rotation=tuple(se3.quat_from_matrix(solution.X[:3, :3]).round(9).tolist()),
        date=datetime.fromtimestamp(last * 1e-9, tz=timezone.utc).replace(microsecond=0),
        camera=camera,
        serial=serial,
        board=board.name,
        square=board.square,
        views=int(solution.used.sum()),
        rejected=int((~solution.used).sum()),
        residual=_error(*solution.residual),
        pixels=round(solution.pixels, 3),
        uncertainty=_error(*solution.uncertainty),
        verdict=verdict.word,
        joint_offsets=None if offsets is None else dict(zip(joints, offsets.round(6).tolist(), strict=True)),
    )


def _error(mm: float, deg: float) -> Error:
    return Error(mm=round(mm, 3), deg=round(deg, 4))


def _apart(T_a: np.ndarray, T_b: np.ndarray) -> str:
    mm = np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]) * 1e3
    return f"{mm:.1f} mm, {np.rad2deg(se3.rotation_angle(T_a[:3, :3], T_b[:3, :3])):.2f} deg"


def _rpy(T: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw (3,) rad about fixed axes (REP-103), as a cell's `rpy`."""
    R = T[:3, :3]
    pitch = np.arcsin(np.clip(-R[2, 0], -1.0, 1.0))
    return np.array([np.arctan2(R[2, 1], R[2, 2]), pitch, np.arctan2(R[1, 0], R[0, 0])])
