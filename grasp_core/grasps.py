"""Grasps as a struct of arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.errors import GraspsError, InputError

_PER_GRASP = ("R", "t", "width", "depth", "score", "stability", "track_id")
_HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # about the approach: the same grasp with the two fingers swapped


@dataclass(frozen=True)
class Grasps:
    """N parallel-jaw grasps in one frame (the base frame, unless said otherwise).

    Grasp frame: origin midway between the fingertips, z = approach, x = closing direction, y completes it.

    Attributes:
        R: (N, 3, 3) float32 rotation of the grasp frame.
        t: (N, 3) float32 origin of the grasp frame, m.
        width: (N,) float32 opening needed before closing, m.
        depth: (N,) float32 how far the fingertips reach past the surface along the approach, m.
        score: (N,) float32 in [0, 1].
        stability: (N,) float32 in [0, 1]; 1 = the closing plane passes through the estimated centre of mass.
        track_id: (N,) int32 identity over time, -1 = not tracked.
        detector: which detector made them.
    """

    R: NDArray[np.float32]
    t: NDArray[np.float32]
    width: NDArray[np.float32]
    depth: NDArray[np.float32]
    score: NDArray[np.float32]
    stability: NDArray[np.float32]
    track_id: NDArray[np.int32]
    detector: str = ""

    def __post_init__(self) -> None:
        for name in _PER_GRASP:
            dtype = np.int32 if name == "track_id" else np.float32
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))
        n = len(self.t)
        shapes = {"R": (n, 3, 3), "t": (n, 3)} | dict.fromkeys(_PER_GRASP[2:], (n,))
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise GraspsError(f"grasps: {name} has shape {getattr(self, name).shape}, expected {shape}")

    @classmethod
    def create(
        cls,
        R: NDArray,
        t: NDArray,
        width: NDArray,
        depth: NDArray | float = 0.0,
        score: NDArray | float = 0.0,
        stability: NDArray | float = 1.0,
        track_id: NDArray | int = -1,
        detector: str = "",
    ) -> "Grasps":
        """Build from R (N, 3, 3), t (N, 3) and width (N,); the rest may be scalars."""
        n = len(t)
        rest = (np.broadcast_to(np.asarray(v), (n,)) for v in (width, depth, score, stability, track_id))
        return cls(R, t, *rest, detector=detector)

    @classmethod
    def empty(cls, detector: str = "") -> "Grasps":
        """No grasps."""
        return cls.create(np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros(0), detector=detector)

    @classmethod
    def concatenate(cls, parts: Iterable["Grasps"]) -> "Grasps":
        """All grasps of ``parts`` in order; the detector's name is that of the first part."""
        parts = list(parts)
        if not parts:
            return cls.empty()
        arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _PER_GRASP}
        return cls(**arrays, detector=parts[0].detector)

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, index: int | slice | NDArray) -> "Grasps":
        """Those at ``index`` (an integer gives a set of one)."""
        if isinstance(index, (int, np.integer)):
            index = [index]
        return replace(self, **{name: getattr(self, name)[index] for name in _PER_GRASP})

    def matrices(self) -> NDArray[np.float64]:
        """Poses of the grasp frames, (N, 4, 4) float64."""
        return se3.make(self.R, self.t)

    def transformed(self, T_a_b: NDArray[np.float64]) -> "Grasps":
        """The same grasps, given in frame b, in frame a."""
        T = se3.check(T_a_b, "Grasps.transformed")
        return replace(self, R=T[:3, :3] @ self.R.astype(np.float64), t=se3.transform(T, self.t.astype(np.float64)))

    def sorted(self) -> "Grasps":
        """Best score first; equal scores keep their order."""
        return self[np.argsort(-self.score, kind="stable")]

    def nms(self, translation: float = 0.03, rotation: float = np.deg2rad(30.0)) -> "Grasps":
        """Greedy non-maximum suppression, best first.

        A grasp is dropped when a better one lies within ``translation`` (m) AND ``rotation`` (rad). The two fingers
        are alike: a grasp turned by half a turn about its approach counts as the same. Defaults: GraspNet-1Billion's
        evaluation (3 cm, 30 deg).
        """
        ranked = self.sorted()
        keep = np.ones(len(ranked), dtype=bool)
        R, t = ranked.R.astype(np.float64), ranked.t.astype(np.float64)
        cosine = np.cos(rotation)
        for i in range(len(ranked)):
            if not keep[i]:
                continue
            later = np.flatnonzero(keep[i + 1 :]) + i + 1
            later = later[((t[later] - t[i]) ** 2).sum(axis=1) < translation**2]
            diagonal = np.einsum("ji,nji->ni", R[i], R[later])  # x.x', y.y', z.z'
            same = (diagonal.sum(axis=1) - 1.0) / 2.0
            swapped = (diagonal @ np.diag(_HALF_TURN) - 1.0) / 2.0
            keep[later[np.maximum(same, swapped) > cosine]] = False
        return ranked[keep]

    def validate(self, max_width: float, what: str = "grasps") -> "Grasps":
        """Return self if every grasp is sound.

        Raises:
            GraspsError: NaN, not a rotation, width outside (0, max_width], score or stability outside [0, 1].
        """
        for name in _PER_GRASP[:-1]:
            if not np.isfinite(getattr(self, name)).all():
                raise GraspsError(f"{what}: {name} has NaN or infinite entries")
        bad = np.flatnonzero(~se3.is_rotation(self.R, tolerance=1e-3))
        if len(bad):
            raise GraspsError(f"{what}: R of grasp {bad[0]} is not a rotation ({len(bad)} such)")
        if np.any(self.width <= 0) or np.any(self.width > max_width + 1e-5):
            raise GraspsError(
                f"{what}: width must be in (0, {max_width}] m, got {self.width.min()}..{self.width.max()}"
            )
        for name in ("score", "stability"):
            values = getattr(self, name)
            if np.any(values < 0) or np.any(values > 1):
                raise GraspsError(f"{what}: {name} must be in [0, 1], got {values.min()}..{values.max()}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON; ``from_dict`` reads it back."""
        return {f.name: v.tolist() if isinstance(v := getattr(self, f.name), np.ndarray) else v for f in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Grasps":
        """Inverse of ``to_dict``; InputError on missing or unknown keys."""
        names = {f.name for f in fields(cls)}
        if set(data) != names:
            raise InputError(f"grasps: expected the keys {sorted(names)}, got {sorted(data)}")
        arrays = {k: np.asarray(v) for k, v in data.items() if k != "detector"}
        n = len(arrays["t"])
        arrays["R"] = arrays["R"].reshape(n, 3, 3)
        arrays["t"] = arrays["t"].reshape(n, 3)
        return cls(**arrays, detector=data["detector"])
