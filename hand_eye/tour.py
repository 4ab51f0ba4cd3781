"""Looks at the board for an arm that can move: which poses, and what none of the motions between them may leave."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Mode
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError
from hand_eye.looks import Design, Range, candidates

MOST_SHIFT = 0.45  # m that the flange goes from where the user put it
MOST_TURN = float(np.deg2rad(100.0))  # rad that it turns from there
CLEARANCE = 0.06  # m that camera, fingertips and a held board stay above the table and away from bin and tray
BOARD_RIM = 0.03  # m around a held board's pattern
DISTANCES = (0.75, 1.0, 1.25)  # times the first look's
NEAREST, FARTHEST = 0.25, 1.2  # m
_STEPS = 9  # poses that are looked at on the way from one to the next


@dataclass(frozen=True)
class Mounting:
    """What hangs on the flange, as far as it must not touch anything: points (N, 3) m in the flange frame.

    `T_flange_tcp` (4, 4): the fingertips, which move straight from one pose to the next.
    """

    points: np.ndarray
    T_flange_tcp: np.ndarray

    @classmethod
    def of(cls, mode: Mode, X: np.ndarray, Y: np.ndarray, board: Board, T_flange_tcp: np.ndarray) -> Mounting:
        """The fingertips, and the camera or the board, whichever the arm carries."""
        if mode == "eye_in_hand":
            carried = X[:3, 3][None]
        else:
            (x, y), rim = board.size, BOARD_RIM
            carried = se3.transform(
                Y, np.array([[-rim, -rim, 0], [x + rim, -rim, 0], [x + rim, y + rim, 0], [-rim, y + rim, 0]])
            )
        return cls(np.vstack([T_flange_tcp[:3, 3][None], np.zeros((1, 3)), carried]), T_flange_tcp)


@dataclass(frozen=True)
class Fence:
    """Where the flange may go: near its first pose, with all that it carries clear of table, bin and tray.

    These are the calibration's own limits, on top of the collision checks of whoever plans the motion: it knows
    nothing of a board in the gripper.
    """

    cell: Cell
    start: np.ndarray
    mounting: Mounting

    def problem(self, T_base_flange: np.ndarray) -> str:
        """Why the flange may not be there, empty if it may."""
        shift = np.linalg.norm(T_base_flange[:3, 3] - self.start[:3, 3])
        turn = se3.rotation_angle(T_base_flange[:3, :3], self.start[:3, :3])
        if shift > MOST_SHIFT or turn > MOST_TURN:
            return f"{shift:.2f} m and {np.rad2deg(turn):.0f} deg from where the arm started"
        points = se3.transform(T_base_flange, self.mounting.points)
        low = float(points[:, 2].min()) - self.cell.table.height
        if low < CLEARANCE:
            return f"only {low * 1e3:.0f} mm above the table"
        for box in self.cell.obstacle_boxes():
            if box.name == "table":
                continue
            apart = np.maximum(np.abs(points - box.centre) - box.size / 2, 0.0)
            if np.linalg.norm(apart, axis=1).min() < CLEARANCE:
                return f"too near to {box.name}"
        return ""

    def check_way(self, T_from: np.ndarray, T_to: np.ndarray) -> None:
        """Look along the way between two poses of the flange; PlanningError (OUT_OF_LIMITS) says what is in it."""
        tcp = self.mounting.T_flange_tcp
        for pose in se3.interpolate(T_from @ tcp, T_to @ tcp, np.linspace(0.0, 1.0, _STEPS)):
            why = self.problem(pose @ se3.inverse(tcp))
            if why:
                raise PlanningError(f"the way to this look is not clear: {why}", ErrorCode.OUT_OF_LIMITS)


@dataclass
class Tour:
    """The looks that are left to try, and the choice of the next one.

    Attributes:
        design: values looks, with the present estimates of X and Y. poses: (N, 4, 4) looks at the board.
        taken: looks so far, as they were seen. tried: which of `poses` were chosen already.
    """

    design: Design
    fence: Fence
    poses: np.ndarray
    taken: list[np.ndarray] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)

    @classmethod
    def plan(
        cls, design: Design, fence: Fence, board: Board, K: np.ndarray, size: tuple[int, int], first: np.ndarray
    ) -> Tour:
        """A tour around a board that is seen at `first` (4, 4) now, in pictures of `size` (width, height).

        Raises:
            PlanningError: the fence leaves hardly any look.
        """
        away = np.linalg.norm(se3.transform(first, board.centre[None]))
        distance = float(np.clip(away, NEAREST, FARTHEST))
        distances = tuple(np.clip(np.array(DISTANCES) * distance, NEAREST, FARTHEST).tolist())
        upright = float(np.arctan2(first[1, 0], first[0, 0]))
        poses = candidates(board, K, size, Range(distances=distances), upright)
        clear = np.array([not fence.problem(flange) for flange in design.flange(poses)], bool)
        tour = cls(design, fence, poses[clear], [first])
        if clear.sum() < 10:
            raise PlanningError(
                f"only {int(clear.sum())} of {len(poses)} looks at the board are clear of table, bin and tray: start "
                "with the board in the middle of the picture and more room around it",
                ErrorCode.OUT_OF_LIMITS,
            )
        return tour

    def next(self, T_base_flange: np.ndarray) -> np.ndarray | None:
        """The flange's pose (4, 4) for the look that tells most and has a clear way; None when no look is left."""
        flanges = self.design.flange(self.poses)
        left = [i for i in range(len(self.poses)) if i not in self.tried]
        known = self.design.known(np.array(self.taken))
        for i in [left[k] for k in self.design.order(self.poses[left], known, len(left))] if left else []:
            self.tried.add(i)
            try:
                self.fence.check_way(T_base_flange, flanges[i])
            except PlanningError:
                continue
            return flanges[i]
        return None

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (3,) m of the space that the flange may use, in the base frame."""
        places = self.design.flange(self.poses)[:, :3, 3]
        return places.min(axis=0), places.max(axis=0)
