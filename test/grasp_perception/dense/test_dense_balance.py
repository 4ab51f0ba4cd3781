"""Where things balance: a closing plane through the middle of a bar, not through its end."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from grasp_perception.dense.balance import balance

TOP = 0.03


def bar(length: float, middle: float = 0.0) -> torch.Tensor:
    """The top of a bar along x, 30 mm wide and high, and the table around it."""
    x, y = np.meshgrid(np.arange(-0.3, 0.3, 0.005), np.arange(-0.15, 0.15, 0.005), indexing="ij")
    on = (np.abs(x - middle) <= length / 2) & (np.abs(y) <= 0.015)
    return torch.tensor(np.stack([x, y, np.where(on, TOP, 0.0)], axis=-1).reshape(-1, 3), dtype=torch.float32)


def judged(cloud: torch.Tensor, x: list[float], across: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> torch.Tensor:
    seeds = torch.tensor([[value, 0.0, TOP] for value in x])
    normals = torch.tensor(across).expand(len(seeds), 2, 3)
    return balance(seeds, normals, cloud, 0.0, 0.006, 0.005)


@given(st.floats(-0.1, 0.1), st.floats(0.1, 0.3))
def test_the_middle_is_best_and_the_ends_are_alike(middle: float, length: float) -> None:
    cloud = bar(length, middle)
    off = length / 2 - 0.01
    found = judged(cloud, [middle - off, middle, middle + off])
    assert found.shape == (3, 2)
    left, centre, right = found[:, 0].tolist()
    assert centre > 0.9
    assert left < 1.0 - min(off - 0.005, 0.05) / 0.06
    assert abs(left - right) < 0.2


def test_a_plane_along_the_bar_holds_it_anywhere() -> None:
    assert judged(bar(0.3), [-0.12, 0.0, 0.12], across=(0.0, 1.0, 0.0)).min() > 0.9


def test_what_belongs_to_nothing_that_is_seen_is_not_judged() -> None:
    seeds = torch.tensor([[0.28, 0.1, 0.0]])
    assert balance(seeds, torch.eye(3)[None], bar(0.2), 0.0, 0.006, 0.005).tolist() == [[1.0, 1.0, 1.0]]
