"""Collecting views: by hand with advice, or by a tour of the arm around the board."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Mode
from grasp_core.cell import Cell
from grasp_core.errors import InputError, PlanningError, SeegraspError
from hand_eye import board_poses, guide, solve
from hand_eye.detection import Detection, Detector, Lens, drawn
from hand_eye.gate import Answer, Gate
from hand_eye.looks import Design
from hand_eye.nodes.mover import Mover, consent
from hand_eye.nodes.source import Source
from hand_eye.tour import Fence, Mounting, Tour
from hand_eye.views import View, Views

PICTURE_S = 3.0  # without a picture, after which it is an error
LOOK_S = 8.0  # for one look of a tour to become a view
HOPELESS_S = 2.0  # of pictures that are no use, after which a look is left out
RESOLVE = 6  # views from which on a tour uses what they say of the camera
_SHOWN_S = 0.2


@dataclass
class Session:
    """One collection. `say` gets every line for the user.

    Attributes:
        views: taken so far. lens: of the pictures.
    """

    source: Source
    cell: Cell
    board: Board
    mode: Mode
    lens: Lens
    T_flange_tcp: np.ndarray
    say: Callable[[str], None] = print
    views: list[View] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._detector = Detector(self.board)
        self._gate = Gate(len(self.board.corners), self.lens)
        self._shown = 0.0

    def all(self) -> Views:
        """What was collected; InputError when that is nothing."""
        return Views.of(self.views, self.mode, self.lens.K, self.board.corners)

    def looks(self) -> np.ndarray:
        """(N, 4, 4): the board in the camera at the views."""
        if not self.views:
            return np.zeros((0, 4, 4))
        views = self.all()
        return board_poses.fit(views, board_poses.first_guess(views)).T_cam_board

    def look(self) -> Answer:
        """Judge the next picture; keeps the view where it is one. SeegraspError when no pictures come."""
        picture, stamp = self.source.picture(PICTURE_S)
        if picture.shape[1::-1] != self.lens.size:
            raise InputError(
                f"pictures are {picture.shape[1]}x{picture.shape[0]}, camera_info is for "
                f"{self.lens.size[0]}x{self.lens.size[1]}: both must be of the same stream"
            )
        found: Detection | None = None
        try:
            found = self._detector.find(picture)
            answer = self._gate.offer(self.source.shot(found, stamp), self.views)
        except SeegraspError as error:
            self._gate.clear()
            answer = Answer(None, str(error))
        if answer.view is not None:
            self.views.append(answer.view)
        if time.monotonic() - self._shown > _SHOWN_S:
            self._shown = time.monotonic()
            self.source.show(drawn(picture, found, f"{len(self.views)} views; {answer.text}"), stamp)
        return answer

    def by_hand(self, count: int, thorough: bool = True) -> None:
        """Until there are `count` views, and, if it is to be `thorough`, they lack nothing; Ctrl-C ends it earlier."""
        self.say(
            f"Move the arm by hand or with its own pendant, let it rest for a second at every pose, {count} poses or "
            "more. A view is taken whenever all stands still; Ctrl-C calculates with what there is."
        )
        missing = guide.missing(self.looks(), self.board.centre) if thorough else []
        last, told = "", 0.0
        while len(self.views) < count or missing:
            try:
                answer = self.look()
            except KeyboardInterrupt:
                return
            if answer.view is not None:
                missing = guide.missing(self.looks(), self.board.centre) if thorough else []
                self.say(f"view {len(self.views)} {answer.text}")
                told, last = 0.0, ""
            elif not answer.waiting and answer.text != last and time.monotonic() - told > 1.0:
                self.say(f"  {answer.text}")
                last, told = answer.text, time.monotonic()
            if answer.view is not None and missing:
                self.say("  still missing: " + "; ".join(missing))

    def one(self, timeout_s: float) -> Answer:
        """Wait for a view from where everything stands now; the last answer when there is none in time.

        Pictures that are bad for a while without anything to wait for end it earlier.
        """
        began = hopeful = time.monotonic()
        while True:
            answer, now = self.look(), time.monotonic()
            if answer.waiting:
                hopeful = now
            if answer.view is not None or now > began + timeout_s or now > hopeful + HOPELESS_S:
                return answer

    def by_arm(self, count: int, mover: Mover, nominal: np.ndarray, yes: bool) -> None:
        """A tour of the arm: `count` views from poses around the board, back to the start at the end.

        `nominal` (4, 4): roughly where the camera is in its parent. Ctrl-C stops the arm and calculates with what
        there is.

        Raises:
            SeegraspError: the board is not seen from here, nobody allows the motion, or the arm fails.
        """
        start = self.one(LOOK_S)
        if start.view is None:
            raise InputError(f"the board must be in view before the arm moves: {start.text}")
        self.say(f"view 1 {start.text}")
        tour = self._tour(nominal, self.looks()[0], self.views[0].T_base_flange)
        low, high = tour.box()
        consent(
            f"The arm will move to {count - 1} or more looks at the board, straight and slowly. Its flange stays "
            f"between ({low[0]:.2f}, {low[1]:.2f}, {low[2]:.2f}) and ({high[0]:.2f}, {high[1]:.2f}, {high[2]:.2f}) m "
            f"in {self.cell.base_frame}. Cables and the board must have room for turns of 100 deg.",
            yes,
        )
        home = self.source.flange()
        try:
            self._travel(tour, count, mover)
            self._return(home @ self.T_flange_tcp, mover)
        except KeyboardInterrupt:
            self.say("stopped; calculating with what there is")

    def _return(self, T_base_tcp: np.ndarray, mover: Mover) -> None:
        """Back to the start, straight where that goes. A board in the gripper is not trusted to any other way."""
        self.say("back to the start")
        try:
            mover.go(T_base_tcp)
        except PlanningError as error:
            if self.mode == "eye_to_hand":
                self.say(f"the arm stays here: {error}")
            else:
                mover.go(T_base_tcp, straight=False)

    def _travel(self, tour: Tour, count: int, mover: Mover) -> None:
        while len(self.views) < count:
            target = tour.next(self.source.flange())
            if target is None:
                self.say("no look is left that can be reached")
                return
            try:
                mover.go(target @ self.T_flange_tcp)
            except PlanningError as error:
                self.say(f"  look left out: {error.code.name}: {error}")
                continue
            answer = self.one(LOOK_S)
            if answer.view is None:
                self.say(f"  look left out: {answer.text}")
                continue
            self.say(f"view {len(self.views)} {answer.text}")
            self._learn(tour)

    def _tour(self, X: np.ndarray, first: np.ndarray, flange: np.ndarray) -> Tour:
        """Around the board, for a camera roughly at X and the board seen at `first` with the flange at `flange`."""
        T_other_parent = flange if self.mode == "eye_in_hand" else se3.inverse(flange)
        Y = T_other_parent @ X @ first
        mounting = Mounting.of(self.mode, X, Y, self.board, self.T_flange_tcp)
        fence = Fence(self.cell, flange, mounting)
        return Tour.plan(Design(self.mode, X, Y), fence, self.board, self.lens.K, self.lens.size, first)

    def _learn(self, tour: Tour) -> None:
        """Use what the views say so far for the looks to come."""
        tour.taken = list(self.looks())
        if len(self.views) < RESOLVE:
            return
        try:
            found = solve.solve(self.all())
        except InputError:  # too alike yet: the nominal pose has to do
            return
        tour.design = replace(tour.design, X=found.X, Y=found.Y)
        tour.fence = replace(
            tour.fence, mounting=Mounting.of(self.mode, found.X, found.Y, self.board, self.T_flange_tcp)
        )
