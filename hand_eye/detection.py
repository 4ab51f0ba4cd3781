"""Finding the board in a picture: its corners, how sharp it is, and what is wrong where it is not found."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grasp_core.board import Board
from grasp_core.errors import InputError
from hand_eye.views import FEWEST_CORNERS

_UNDISTORTED = 1e-7  # coefficients below change nothing


@dataclass(frozen=True)
class Lens:
    """Intrinsics of a picture.

    Attributes:
        K: (3, 3) px. distortion: (n,) OpenCV's coefficients (plumb_bob, rational_polynomial), or empty for none.
        size: (width, height) px. frame: the optical frame.
    """

    K: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]
    frame: str = ""

    def straight(self, pixels: np.ndarray) -> np.ndarray:
        """(N, 2): where pixels (N, 2) would be without distortion."""
        if len(pixels) == 0 or np.abs(self.distortion).max(initial=0.0) < _UNDISTORTED:
            return pixels
        return cv2.undistortPoints(pixels[:, None], self.K, self.distortion, P=self.K)[:, 0]


@dataclass(frozen=True)
class Detection:
    """The board in one picture: corner `ids` (N,), `pixels` (N, 2) as in the picture, and `blur` px.

    `blur` is the width of the pattern's edges, as the standard deviation of a Gaussian; 0.5 is as sharp as pixels
    allow, motion and a bad focus make it larger.
    """

    ids: np.ndarray
    pixels: np.ndarray
    blur: float


class Detector:
    """Finds one board in pictures."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._pattern = board.pattern()
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        self._finder = cv2.aruco.CharucoDetector(self._pattern)
        self._finder.setDetectorParameters(parameters)

    def find(self, picture: np.ndarray) -> Detection:
        """The board in a picture (H, W, 3) or (H, W), uint8 RGB or grey.

        Raises:
            InputError: it is not there, or too little of it; the message says what is seen instead.
        """
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else np.ascontiguousarray(picture)
        pixels, ids, _, markers = self._finder.detectBoard(grey)
        count = 0 if ids is None else len(ids)
        if count < FEWEST_CORNERS:
            raise InputError(self._explain(grey, count, 0 if markers is None else len(markers)))
        pixels, ids = pixels.reshape(-1, 2).astype(np.float64), ids.ravel().astype(np.int64)
        return Detection(ids, pixels, self._blur(grey, ids, pixels))

    def _explain(self, grey: np.ndarray, corners: int, markers: int) -> str:
        _, mirrored, _, _ = self._finder.detectBoard(cv2.flip(grey, 1))
        if mirrored is not None and len(mirrored) >= FEWEST_CORNERS:
            return "the picture is mirrored: turn flipping off in the camera's driver"
        if corners or markers > 1:
            return (
                f"only {corners} corners of the board are seen ({markers} markers): show all of it; if all of it is "
                "seen, the picture is blurred, or the board is not that of the file (squares, dictionary, legacy)"
            )
        light = float(np.median(grey))
        if light < 25 or light > 235:
            return f"no board in view; the picture is too {'dark' if light < 25 else 'bright'}"
        return "no board in view"

    def _blur(self, grey: np.ndarray, ids: np.ndarray, pixels: np.ndarray) -> float:
        """Width of the edges across the board's two directions, the larger one.

        A step of height h blurred by a Gaussian has the greatest slope h / (sigma sqrt(2 pi)).
        """
        x0, y0 = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
        x1, y1 = np.ceil(pixels.max(axis=0)).astype(int) + 1
        patch = grey[y0:y1, x0:x1].astype(np.float32)
        step = np.percentile(patch, 95) - np.percentile(patch, 5)
        plane, *_ = np.linalg.lstsq(
            np.column_stack([self.board.corners[ids, :2], np.ones(len(ids))]), pixels, rcond=None
        )
        ways = plane[:2] / np.linalg.norm(plane[:2], axis=1, keepdims=True)
        across = ways[::-1] @ np.array([[0.0, -1.0], [1.0, 0.0]])  # normals of the edges along the other direction
        slope = np.stack([cv2.Sobel(patch, cv2.CV_32F, 1, 0), cv2.Sobel(patch, cv2.CV_32F, 0, 1)]) / 8
        steepest = np.percentile(np.abs(np.tensordot(across, slope, axes=1)), 99, axis=(1, 2))
        return float((step / np.maximum(steepest, 1e-3)).max() / np.sqrt(2 * np.pi))


def drawn(picture: np.ndarray, detection: Detection | None, text: str) -> np.ndarray:
    """A copy of a picture (H, W, 3) with the corners and a line of text in it."""
    out = np.ascontiguousarray(picture).copy()
    if detection is not None:
        cv2.aruco.drawDetectedCornersCharuco(
            out, detection.pixels[:, None].astype(np.float32), detection.ids[:, None].astype(np.int32), (255, 60, 0)
        )
    for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(out, text, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width, cv2.LINE_AA)
    return out
