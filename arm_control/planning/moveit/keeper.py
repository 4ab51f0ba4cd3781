"""Keeps MoveIt's planning scene equal to ours: sends what changed, and looks whether it is there."""

from __future__ import annotations

from arm_control.planning.moveit.door import MoveIt, missing
from arm_control.planning.moveit.scene import Scene, difference
from grasp_core.errors import ErrorCode, SeegraspError


class SceneKeeper:
    """Shows scenes to one MoveIt."""

    def __init__(self, moveit: MoveIt) -> None:
        self._moveit = moveit
        self._shown: Scene | None = None

    def show(self, scene: Scene) -> None:
        """Make MoveIt's scene this one; SeegraspError PLANNER_UNAVAILABLE or CONFIG when it is not after two tries.

        The second try sends all of it: MoveIt was restarted, or somebody else changed its scene.
        """
        change = difference(self._shown, scene)
        self._shown = None
        taken = not change or self._moveit.apply(change)
        seen = self._moveit.seen()
        if not taken or missing(scene, seen):
            taken = self._moveit.apply(difference(None, scene, seen.attached | seen.fixed))
            seen = self._moveit.seen()
        lacks = missing(scene, seen)
        if lacks:
            raise _lost("MoveIt has not taken over the scene", lacks)
        if not taken:
            raise SeegraspError(
                "MoveIt refused a part of the planning scene: does its model know the arm profile's base_frame and "
                "flange_frame? Its log says which object",
                ErrorCode.CONFIG,
            )
        self._shown = scene

    def confirm(self) -> None:
        """After planning: SeegraspError PLANNER_UNAVAILABLE unless the scene is still there."""
        lacks = missing(self._shown, self._moveit.seen())
        if lacks:
            self._shown = None
            raise _lost("MoveIt has lost the scene while it planned (restarted?)", lacks)


def _lost(what: str, lacks: list[str]) -> SeegraspError:
    more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
    return SeegraspError(f"{what}: {'; '.join(lacks[:3])}{more}", ErrorCode.PLANNER_UNAVAILABLE)
