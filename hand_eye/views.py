"""What a calibration is made of: views of a board, and what is known about arm and camera at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from grasp_core import se3
from grasp_core.calibration import MODES, Mode
from grasp_core.errors import InputError

FEWEST_CORNERS = 6  # of a view: fewer do not fix a pose well


@dataclass(frozen=True)
class View:
    """One look at the board from where arm, board and camera stood still.

    Attributes:
        T_base_flange: (4, 4), as the arm told. joints: (dof,) rad, empty if unknown.
        ids: (N,) corners that were seen. pixels: (N, 2) where, without the lens's distortion, px.
        stamp_ns: of the picture.
    """

    T_base_flange: np.ndarray
    ids: np.ndarray
    pixels: np.ndarray
    joints: np.ndarray
    stamp_ns: int = 0


@dataclass(frozen=True)
class Views:
    """V views with all their corners in one list of M.

    Attributes:
        mode: eye_in_hand: the board stands, the camera is on the flange; eye_to_hand: the other way round.
        K: (3, 3) px. board: (B, 3) corners of the board by id, m.
        T_base_flange: (V, 4, 4). joints: (V, dof) rad, or (V, 0).
        view, ids: (M,) the view that a corner belongs to, and its id. pixels: (M, 2).
        stamps: (V,) ns.
    """

    mode: Mode
    K: np.ndarray
    board: np.ndarray
    T_base_flange: np.ndarray
    joints: np.ndarray
    view: np.ndarray
    ids: np.ndarray
    pixels: np.ndarray
    stamps: np.ndarray

    def __len__(self) -> int:
        return len(self.T_base_flange)

    @classmethod
    def of(cls, views: Sequence[View], mode: Mode, K: np.ndarray, board: np.ndarray) -> Views:
        """From single views.

        Raises:
            InputError: an unknown mode, no views, corners that the board does not have, too few of them, a pose that
                is none, or joints that are known for some views only.
        """
        if mode not in MODES:
            raise InputError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
        if not views:
            raise InputError("no views of the board: nothing to calibrate with")
        for i, v in enumerate(views):
            _check_view(v, i, len(board))
        if len({len(v.joints) for v in views}) > 1:
            raise InputError("some views have joint positions and others have not, or another number of them")
        return cls(
            mode=mode,
            K=np.array(K, np.float64),
            board=np.asarray(board, np.float64),
            T_base_flange=np.array([v.T_base_flange for v in views], np.float64),
            joints=np.array([v.joints for v in views], np.float64),
            view=np.repeat(np.arange(len(views)), [len(v.ids) for v in views]),
            ids=np.concatenate([v.ids for v in views]).astype(np.int64),
            pixels=np.concatenate([v.pixels for v in views]).astype(np.float64),
            stamps=np.array([v.stamp_ns for v in views], np.int64),
        )

    @property
    def points(self) -> np.ndarray:
        """(M, 3) m: the corners in the board frame."""
        return self.board[self.ids]

    @property
    def counts(self) -> np.ndarray:
        """(V,) corners in each view."""
        return np.bincount(self.view, minlength=len(self))

    @property
    def T_parent_other(self) -> np.ndarray:
        """(V, 4, 4): from what the board is fixed to into what the camera is fixed to."""
        return se3.inverse(self.T_base_flange) if self.mode == "eye_in_hand" else self.T_base_flange

    def keep(self, views: np.ndarray) -> Views:
        """Only those of the mask (V,)."""
        number = np.cumsum(views) - 1
        return replace(
            self.keep_corners(views[self.view]),
            T_base_flange=self.T_base_flange[views],
            joints=self.joints[views],
            view=number[self.view[views[self.view]]],
            stamps=self.stamps[views],
        )

    def keep_corners(self, corners: np.ndarray) -> Views:
        """All views, but only the corners of the mask (M,)."""
        return replace(self, view=self.view[corners], ids=self.ids[corners], pixels=self.pixels[corners])

    def save(self, path: str | Path) -> None:
        """Into an .npz file, for calculating again."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> Views:
        """From `save`'s file; InputError when it is none."""
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(**{**data, "mode": str(data["mode"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: no views in this file: {error}") from error


def _check_view(view: View, index: int, corners: int) -> None:
    what = f"view {index}"
    se3.check(view.T_base_flange, f"{what}: pose of the flange")
    ids, pixels = np.asarray(view.ids), np.asarray(view.pixels)
    if pixels.shape != (len(ids), 2) or not np.isfinite(pixels).all():
        raise InputError(f"{what}: expected {len(ids)} finite pixels, got an array of shape {pixels.shape}")
    if len(ids) < FEWEST_CORNERS or len(set(ids.tolist())) < len(ids):
        raise InputError(f"{what}: expected {FEWEST_CORNERS} different corners at least, got {len(set(ids.tolist()))}")
    if ids.min() < 0 or ids.max() >= corners:
        raise InputError(f"{what}: corner {ids.max()} is not one of the board's {corners}: another board?")
