"""What scores of the network mean: odds that depth and thickness change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.gripper import Gripper
from grasp_perception.dense import template, weights
from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.decode import decode
from grasp_perception.dense.detector import DenseDetector
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.ranking import GOOD_DEPTH, THICK, Ranking, factors

RANKING = Ranking(bias=-0.5, score=1.4, depth=2.0, thickness=3.0)
share = st.floats(0.01, 0.99)
length = st.floats(0.001, 0.1)


@given(share, length, length)
def test_by_default_a_score_stays_what_it_is(score: float, depth: float, width: float) -> None:
    odds = Ranking().log_odds(*(torch.tensor(x, dtype=torch.float64) for x in (score, depth, width)))
    assert float(odds.sigmoid()) == pytest.approx(score, rel=1e-6)


@given(share, share, length, length, length, length)
def test_more_of_anything_is_never_worse(s: float, t: float, d: float, e: float, w: float, v: float) -> None:
    less = [torch.tensor(min(pair), dtype=torch.float64) for pair in ((s, t), (d, e), (w, v))]
    more = [torch.tensor(max(pair), dtype=torch.float64) for pair in ((s, t), (d, e), (w, v))]
    assert RANKING.log_odds(*less) <= RANKING.log_odds(*more) + 1e-12


def test_from_a_depth_and_a_thickness_on_nothing_changes() -> None:
    _, deep, thick = factors(
        torch.tensor(0.5), torch.tensor([0.5, 1, 2]) * GOOD_DEPTH, torch.tensor([0.5, 1, 2]) * THICK
    )
    assert deep[0] < 0
    assert thick[0] < 0
    assert deep[1:].tolist() == thick[1:].tolist() == [0.0, 0.0]


def test_of_equal_scores_the_deeper_grasp_is_taken() -> None:
    score = torch.full((1, 1, template.ANGLES, len(template.DEPTHS)), 0.1)
    score[0, 0, 3, :3] = 0.8
    given_ = (torch.zeros(1, 3), torch.tensor([[280]]), score, torch.full_like(score, 0.03), torch.ones(1, 1, 12))
    gripper = Gripper.load("robotiq_2f85")
    assert float(decode(*given_, gripper, ranking=RANKING).depth[0]) == pytest.approx(0.02)


def test_it_travels_with_the_weights_and_can_be_left_out(tmp_path: Path) -> None:
    small = DenseConfig(widths=(8, 8), encoder_blocks=(1,), decoder_blocks=(1,), ranking=RANKING)
    weights.save(DenseModel(small), tmp_path / "w.safetensors")
    model = weights.load(tmp_path / "w.safetensors")
    assert model.config.ranking == RANKING
    assert DenseDetector(model)._ranking == RANKING
    assert DenseDetector(weights.load(tmp_path / "w.safetensors"), calibrated=False)._ranking == Ranking()
