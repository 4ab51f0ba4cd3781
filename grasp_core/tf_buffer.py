"""A transform tree over time, without ROS: what tf2's buffer does, for the parts this stack uses."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.errors import FrameError

Matrix = NDArray[np.float64]
_SECOND = 1_000_000_000
_MAX_DEPTH = 64  # links from a frame to its root; more means a loop


@dataclass
class _Edge:
    """History of one frame in its parent."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: dict[int, Matrix] = field(default_factory=dict)

    def at(self, stamp: int | None, child: str) -> Matrix:
        if self.static or stamp is None:
            return self.poses[self.stamps[-1]]
        if stamp in self.poses:
            return self.poses[stamp]
        index = bisect_left(self.stamps, stamp)
        if index == 0 or index == len(self.stamps):
            end = self.stamps[0] if index == 0 else self.stamps[-1]
            side = "older than the oldest" if index == 0 else "newer than the newest"
            raise FrameError(
                f"transform {self.parent} -> {child}: asked for time {stamp / _SECOND:.3f} s, which is "
                f"{abs(stamp - end) / 1e6:.0f} ms {side} known one; is its publisher running, and on the same clock?"
            )
        before, after = self.stamps[index - 1], self.stamps[index]
        return se3.interpolate(self.poses[before], self.poses[after], (stamp - before) / (after - before))


class TransformBuffer:
    """Keeps the last ``keep_s`` seconds of every transform; thread-safe.

    As in tf2: a frame has one parent; interpolation between two stamps, no extrapolation; static ones hold always.
    """

    def __init__(self, keep_s: float = 10.0) -> None:
        self._keep = int(keep_s * _SECOND)
        self._edges: dict[str, _Edge] = {}
        self._lock = Lock()

    def set(self, parent: str, child: str, T_parent_child: Matrix, stamp: int, static: bool = False) -> None:
        """Store the pose of ``child`` in ``parent`` (4x4) at ``stamp`` in ns.

        Raises:
            FrameError: a frame is its own parent.
            InputError: not a rigid transform.
        """
        parent, child = parent.strip("/"), child.strip("/")
        if parent == child:
            raise FrameError(f"transform {parent} -> {child}: a frame cannot be its own parent")
        pose = se3.check(T_parent_child, f"transform {parent} -> {child}")
        with self._lock:
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static != static:
                edge = self._edges[child] = _Edge(parent, static)
            if stamp not in edge.poses:
                insort(edge.stamps, stamp)
            edge.poses[stamp] = pose
            oldest = edge.stamps[-1] - self._keep
            while edge.stamps[0] < oldest:
                del edge.poses[edge.stamps.pop(0)]

    def clear(self) -> None:
        """Forget the moving transforms, as when time jumps back; the static ones stay."""
        with self._lock:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.static}

    def lookup(self, target: str, source: str, stamp: int | None = None) -> Matrix:
        """``T_target_source`` at ``stamp`` in ns (the newest of each link when None).

        Raises:
            FrameError: a frame is unknown, the tree has a loop or the two are not connected, or the time is outside
                what is known.
        """
        target, source = target.strip("/"), source.strip("/")
        with self._lock:
            if target == source:
                return np.eye(4)
            up_target, root_target = self._chain(target)
            up_source, root_source = self._chain(source)
            common = next((frame for frame in up_source if frame in up_target), None)
            if common is None:
                known = ", ".join(sorted(set(self._edges) | {e.parent for e in self._edges.values()})) or "none"
                raise FrameError(
                    f"no transform from {source} to {target}: they belong to different trees (roots {root_source} "
                    f"and {root_target}); known frames: {known}"
                )
            return se3.inverse(self._pose_in(target, common, stamp)) @ self._pose_in(source, common, stamp)

    def newest(self, child: str) -> int | None:
        """Stamp in ns of the newest transform of ``child`` in its parent; None if unknown."""
        with self._lock:
            edge = self._edges.get(child.strip("/"))
            return edge.stamps[-1] if edge else None

    def _chain(self, frame: str) -> tuple[list[str], str]:
        """The frames from ``frame`` up to its root."""
        chain = [frame]
        while chain[-1] in self._edges:
            parent = self._edges[chain[-1]].parent
            if parent in chain or len(chain) > _MAX_DEPTH:
                raise FrameError(f"transforms form a loop: {' -> '.join([*chain, parent])}; two publishers disagree")
            chain.append(parent)
        return chain, chain[-1]

    def _pose_in(self, frame: str, ancestor: str, stamp: int | None) -> Matrix:
        pose = np.eye(4)
        while frame != ancestor:
            edge = self._edges[frame]
            pose = edge.at(stamp, frame) @ pose
            frame = edge.parent
        return pose
