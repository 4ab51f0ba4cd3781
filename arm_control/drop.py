"""Where to put objects down: a grid of spots in the tray that are used in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core.cell import Cell
from grasp_core.errors import ConfigError

_SPACING = 0.10  # m between spots, about
_MARGIN = 0.08  # m from the tray's walls to the outermost spots


@dataclass(frozen=True)
class Spot:
    """A place in the tray: `xy` m in the base frame and `base`, the height of what already lies there."""

    index: int
    xy: tuple[float, float]
    base: float


class DropSpots:
    """Spots in the tray, the lowest first, then the one that was used longest ago. Heights are estimates."""

    def __init__(self, cell: Cell) -> None:
        if cell.tray is None:
            raise ConfigError(f"cell {cell.name} has no tray: nowhere to place objects (key tray)")
        tray = cell.tray
        axes = [_axis(c, s) for c, s in zip(tray.center, tray.size, strict=True)]
        self.floor = cell.table.height + tray.floor_thickness
        self.inside = tray.inside(cell.table.height, 0.0, 0.0, tray.wall_height)
        self.rim = cell.table.height + tray.wall_height
        self._xy = [(float(x), float(y)) for x in axes[0] for y in axes[1]]
        self._height = np.zeros(len(self._xy))
        self._used = np.zeros(len(self._xy), int)
        self._count = 0

    def __len__(self) -> int:
        return len(self._xy)

    def ordered(self) -> list[Spot]:
        """All spots, the best first."""
        order = np.lexsort((np.arange(len(self._xy)), self._used, np.round(self._height, 2)))
        return [Spot(int(i), self._xy[i], self.floor + float(self._height[i])) for i in order]

    def placed(self, spot: Spot, height: float) -> None:
        """An object of `height` m was released at `spot`; half of it stays as a step (objects tip over)."""
        self._count += 1
        self._used[spot.index] = self._count
        self._height[spot.index] = min(self._height[spot.index] + max(height, 0.0) / 2.0, 0.10)

    def clear(self) -> None:
        """The tray was emptied."""
        self._height[:] = 0.0


def _axis(centre: float, size: float) -> np.ndarray:
    half = max(size / 2.0 - _MARGIN, 0.0)
    count = max(round(2.0 * half / _SPACING) + 1, 1)
    return centre + (np.linspace(-half, half, count) if count > 1 else np.zeros(1))
