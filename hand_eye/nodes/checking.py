"""`seegrasp calibrate --check`: new views of a board, and, if asked for, the fingertips over its corners."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from grasp_core.errors import InputError
from hand_eye import board_poses, check
from hand_eye.nodes.mover import Mover, consent
from hand_eye.nodes.session import LOOK_S, Session
from hand_eye.views import Views


def predict(session: Session, count: int, mover: Mover | None, X: np.ndarray, yes: bool) -> check.Check:
    """Collect new views and compare them, for a camera at X (4, 4); no `mover`: somebody moves the arm by hand."""
    if mover is None:
        session.by_hand(count, thorough=False)
    else:
        session.by_arm(count, mover, X, yes)
    found = check.check(session.all(), X)
    session.say(str(found))
    return found


def lying(session: Session, X: np.ndarray) -> np.ndarray:
    """(4, 4): a board that lies in the cell, in the base frame, seen by a camera that stands there at X (4, 4)."""
    answer = session.one(LOOK_S)
    if answer.view is None:
        raise InputError(f"the board must lie in view of the camera: {answer.text}")
    views = Views.of([answer.view], session.mode, session.lens.K, session.board.corners)
    return X @ board_poses.fit(views, board_poses.first_guess(views)).T_cam_board[0]


def touch(
    session: Session,
    mover: Mover,
    T_base_board: np.ndarray,
    height: float,
    yes: bool,
    ask: Callable[[str], str] = input,
) -> bool | None:
    """Drive the fingertips `height` m over five corners; whether what the user measured there is good.

    None: nobody measured anything, so only what the arm itself tells was printed.
    """
    tcp = session.T_flange_tcp
    poses = check.touch_poses(T_base_board, session.board.corners, height, session.source.flange() @ tcp)
    consent(
        f"The arm will drive its fingertips {height * 1e3:.0f} mm over four outer corners of the board and one in its "
        f"middle, at z = {poses[:, 2, 3].min():.3f} to {poses[:, 2, 3].max():.3f} m in {session.cell.base_frame}.",
        yes,
    )
    home, measured = session.source.flange() @ tcp, []
    for i, pose in enumerate(poses):
        mover.go(pose, straight=i > 0)
        x, y, z = pose[:3, 3]
        off = np.linalg.norm((session.source.flange() @ tcp)[:3, 3] - pose[:3, 3]) * 1e3
        session.say(
            f"corner {i + 1}: fingertips at ({x:.4f}, {y:.4f}, {z:.4f}) m; the arm stands {off:.2f} mm from there"
        )
        if sys.stdin.isatty() or ask is not input:
            measured += _asked(ask)
    mover.go(home, straight=False)
    if not measured:
        session.say("nothing was measured at the corners: again, at a terminal, with a rule at hand")
        return None
    rms = float(np.sqrt(np.mean(np.square(measured))))
    session.say(f"fingertips off by {rms:.1f} mm (RMS of {len(measured)} corners), as you measured")
    return rms <= check.GOOD_MM


def _asked(ask: Callable[[str], str]) -> list[float]:
    """What the user measured in mm, in a list that is empty when nothing was entered."""
    while True:
        text = ask("  distance from the point under the fingertips to the corner, mm (Enter: not measured): ").strip()
        if not text:
            return []
        try:
            value = float(text)
        except ValueError:
            continue
        if 0.0 <= value < 1e3:
            return [value]
