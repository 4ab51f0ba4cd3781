"""The dense detector behind the Detector protocol, with random weights: sound, deterministic, clear about bad input."""

from pathlib import Path

import numpy as np
import pytest
import torch

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, ErrorCode, InputError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.dense.detector import DenseDetector
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.params import DenseParams
from grasp_perception.detectors import Detector, make_detector
from test.grasp_perception.dense.dense_scenes import random_model, table_with_box

GRIPPER = Gripper.load("robotiq_2f85")
REGION = Box([-0.1, -0.1, 0.003], [0.1, 0.1, 0.2])
STAGES = [
    "encode",
    "backbone",
    "graspness",
    "seeds",
    "views",
    "group",
    "grasps",
    "balance",
    "decode",
    "buckets",
    "centre",
]


def seen(points: np.ndarray, camera: bool = True) -> Observation:
    pose = se3.look_at([0.1, -0.2, 0.7], [0.0, 0.0, 0.0]) if camera else None
    return Observation(Cloud(points), T_base_cam=pose)


def eager_model(graspable: bool = True) -> DenseModel:
    """All points are graspable, every grasp is good, 45 mm wide, and any view may win."""
    model = random_model(graspable=graspable)
    out = model.grasp_head.out
    torch.nn.init.constant_(out.bias, 1.0)
    with torch.no_grad():
        out.bias[60:120] = float(np.log(0.45 / 0.55))
        out.weight[60:120] = 0.0
    return model


def detector(**params: object) -> DenseDetector:
    return DenseDetector(eager_model(), **params)


def test_grasps_are_sound_and_free() -> None:
    points = table_with_box()
    dense = detector(max_tilt=45.0)
    assert isinstance(dense, Detector)
    found = dense.detect(seen(points), GRIPPER, REGION)
    assert len(found) > 0
    found.validate(GRIPPER.max_width)
    assert found.detector == "dense"
    assert list(dense.timings) == [*STAGES, "collision", "nms"]
    assert (np.diff(found.score) <= 0).all()
    assert (found.R[:, 2, 2] <= -np.cos(np.deg2rad(45.0)) + 1e-6).all()
    high = points[points[:, 2] > 0.006]
    for R, t, width in zip(found.R, found.t, found.width, strict=True):
        centres, sizes = GRIPPER.boxes(float(width))
        local = (high - t) @ R
        for centre, size in zip(centres, sizes, strict=True):
            assert not (np.abs(local - centre) < size / 2 - 1e-5).all(axis=1).any()
        between = (np.abs(local[:, 0]) < width / 2) & (np.abs(local[:, 1]) < 0.011) & (local[:, 2] < 0)
        assert between.any()
    low = [(t[2] + (c @ R[2] - (s / 2) @ np.abs(R[2])).min()) for R, t, (c, s) in zip(
        found.R, found.t, map(GRIPPER.boxes, found.width.astype(float)), strict=True)]  # fmt: skip
    assert min(low) >= 0.004 - 0.002  # the support is estimated to within its noise


def test_two_calls_agree_bit_by_bit() -> None:
    dense = detector()
    first, second = (dense.detect(seen(table_with_box()), GRIPPER, REGION) for _ in range(2))
    assert first.to_dict() == second.to_dict()


@pytest.mark.parametrize("fast", [True, False])
def test_precision_follows_the_processor(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": fast})
    assert detector().model.grasp_head.first.linear.weight.dtype == (torch.bfloat16 if fast else torch.float32)
    assert DenseParams(precision="float32").dtype == torch.float32
    assert DenseParams(device="cuda").dtype == torch.float32


@pytest.mark.parametrize(
    "params", [{"precision": "bfloat16"}, {"precision": "float32"}, {"views_per_seed": 3}, {"support_height": 0.0}]
)
def test_other_ways_to_run(params: dict[str, object]) -> None:
    found = detector(**params).detect(seen(table_with_box(), camera=False), GRIPPER, None)
    found.validate(GRIPPER.max_width)
    assert len(found) > 0


def test_where_the_best_is_in_collision_another_of_the_seed_is_taken() -> None:
    counts = [len(detector(tries_per_seed=n, nms_translation=1e-6).detect(seen(table_with_box()), GRIPPER, REGION))
              for n in (1, 5, 60)]  # fmt: skip
    assert counts[0] < counts[1] < counts[2] <= 40  # seeds of the small network


def test_more_views_give_a_better_best() -> None:
    blind = {"max_hits": 10_000, "max_shift": 0.0}  # what is in collision must not decide
    one, three = (detector(views_per_seed=n, **blind).detect(seen(table_with_box()), GRIPPER, REGION) for n in (1, 3))
    assert three.score[0] > one.score[0]


def test_only_the_region_is_grasped() -> None:
    region = Box([0.0, -0.1, 0.003], [0.1, 0.1, 0.2])
    found = detector().detect(seen(table_with_box()), GRIPPER, region)
    assert len(found) > 0
    assert (found.t[:, 0] >= -1e-6).all()


def test_the_end_of_the_list_can_be_cut() -> None:
    dense = detector(max_grasps=3, nms_translation=1e-4)
    assert len(dense.detect(seen(table_with_box()), GRIPPER, REGION)) == 3


def test_nothing_graspable() -> None:
    model = eager_model(graspable=False)
    torch.nn.init.constant_(model.point_head.layers[-1].bias, -10.0)
    dense = DenseDetector(model)
    assert len(dense.detect(seen(table_with_box()), GRIPPER, REGION)) == 0
    assert list(dense.timings) == STAGES[:4]


def test_a_bare_table_has_no_grasps() -> None:
    points = table_with_box()
    points[:, 2] = np.random.default_rng(0).normal(0.0, 0.001, len(points))
    assert len(detector().detect(seen(points), GRIPPER, None)) == 0


def test_a_region_without_points() -> None:
    away = Box([0.2, 0.2, 0.003], [0.3, 0.3, 0.2])
    assert len(detector(margin=0.0).detect(seen(table_with_box()), GRIPPER, away)) == 0


@pytest.mark.parametrize("count", [0, 1, 49])
def test_too_few_points_are_refused(count: int) -> None:
    with pytest.raises(InputError, match="at least 50") as error:
        detector().detect(seen(table_with_box()[:count]), GRIPPER, REGION)
    assert error.value.code == ErrorCode.EMPTY_CLOUD


def test_too_many_points_and_nan_are_refused() -> None:
    with pytest.raises(InputError, match="at most 400000"):
        detector().detect(seen(np.zeros((400_001, 3), np.float32)), GRIPPER, None)
    points = table_with_box()
    points[7, 1] = np.nan
    with pytest.raises(InputError, match="1 of the cloud's"):
        detector().detect(seen(points), GRIPPER, REGION)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"wings": 2}, "wings"),
        ({"precision": "float8"}, "precision"),
        ({"max_tilt": 4}, "max_tilt"),
        ({"width_margin": 1.2}, "width_margin"),
        ({"device": "toaster"}, "device 'toaster' is not usable"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        detector(**params)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="weights need safetensors")
    from grasp_perception.dense import weights

    with pytest.raises(ConfigError, match="no weights"):
        make_detector("dense", weights=str(tmp_path / "none.safetensors"))
    weights.save(eager_model(), tmp_path / "w.safetensors")
    dense = make_detector("dense", weights=str(tmp_path / "w.safetensors"), max_shift=0.01)
    assert dense.inner.params.max_shift == 0.01
    dense = make_detector("dense", weights=str(tmp_path / "w.safetensors"))
    found = dense.detect(seen(table_with_box()), GRIPPER, REGION)
    assert found.to_dict() == detector().detect(seen(table_with_box()), GRIPPER, REGION).to_dict()
