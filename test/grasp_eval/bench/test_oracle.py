"""The references of the bed: the oracle's grasps are what they should be, and they tell good physics from bad."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, InputError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.bench.contestants import make_contestant
from grasp_eval.bench.oracle import Oracle
from grasp_eval.bench.protocol import Protocol
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.stage import stage_cell
from grasp_eval.bench.top_down import TopDown
from grasp_sim.objects import ObjectSpec, Part

GRIPPER = Gripper.load("robotiq_2f85")
STAGE = stage_cell(Protocol.load("seegrasp"), "pile")


def block(name: str, x: float, y: float, z: float) -> ObjectSpec:
    part = Part("box", (x / 2, y / 2, z / 2))
    return ObjectSpec(name, "box", (part,), 0.2, 0.6, (0.5, 0.5, 0.5, 1.0), min(x, y))


def asked(*placed: tuple[ObjectSpec, float, float], region: Box | None = None):
    oracle = Oracle()
    poses = [se3.make(np.eye(3), [x, y, obj.extents[2] / 2]) for obj, x, y in placed]
    oracle.reveal([obj for obj, _, _ in placed], np.array(poses), STAGE, False)
    return oracle.detect(Observation(Cloud(np.zeros((0, 3)))), GRIPPER, region)


def test_its_grasps_close_across_the_block_near_its_middle():
    grasps = asked((block("a", 0.12, 0.04, 0.05), 0.05, -0.03))
    grasps.validate(GRIPPER.max_width)
    best = grasps[0]
    assert abs(best.R[0, 1, 0]) == pytest.approx(1.0, abs=0.02)
    assert best.t[0, :2] == pytest.approx([0.05, -0.03], abs=0.02)
    assert 0.04 < best.width[0] <= 0.06
    assert np.all(np.diff(grasps.score) <= 0)


def test_what_is_too_wide_or_walled_in_has_no_grasps():
    assert len(asked((block("a", 0.12, 0.12, 0.10), 0.0, 0.0))) == 0
    walls = [(block(f"w{i}", 0.12, 0.12, 0.12), x, y) for i, (x, y) in enumerate([(0.085, 0), (-0.085, 0)])]
    ends = [(block(f"e{i}", 0.12, 0.12, 0.12), 0.0, y) for i, y in enumerate([0.085, -0.085])]
    assert len(asked((block("a", 0.05, 0.05, 0.05), 0.0, 0.0), *walls, *ends)) == 0


def test_the_hand_keeps_off_the_neighbour_and_the_table():
    grasps = asked((block("a", 0.06, 0.03, 0.04), 0.0, 0.0), (block("wall", 0.10, 0.10, 0.15), 0.0, 0.075))
    assert len(grasps)
    mine = grasps[np.abs(grasps.t[:, 1]) < 0.02]
    assert len(mine)
    centres, sizes = GRIPPER.boxes(mine.width.astype(float))
    corners = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    ends = centres[:, :, None] + corners * sizes[:, :, None]
    world = np.einsum("nij,nbcj->nbci", mine.R, ends) + mine.t[:, None, None]
    assert world[..., 2].min() > 0.0
    below = world[world[..., 2] < 0.15]
    assert below[:, 1].max() < 0.026  # where the wall begins, to the spacing of its points


def test_a_wide_hand_keeps_off_what_a_narrow_one_passes():
    wide = GRIPPER.model_copy(update={"palm": GRIPPER.palm.model_copy(update={"size": (0.24, 0.075, 0.055)})})
    poses = [se3.make(np.eye(3), [0.0, 0.0, 0.02]), se3.make(np.eye(3), [0.105, 0.0, 0.10])]
    oracle = Oracle()
    oracle.reveal([block("a", 0.04, 0.04, 0.04), block("tower", 0.02, 0.40, 0.20)], np.array(poses), STAGE, False)
    seen = Observation(Cloud(np.zeros((0, 3))))
    narrow, broad = oracle.detect(seen, GRIPPER), oracle.detect(seen, wide)
    along = [np.abs(g.R[(g.t[:, 0] < 0.05), 0, 0]) > 0.9 for g in (narrow, broad)]  # closing towards the tower
    assert along[0].any()
    assert not along[1].any()


def test_a_region_limits_where_it_grasps():
    placed = (block("a", 0.05, 0.04, 0.05), -0.08, 0.0), (block("b", 0.05, 0.04, 0.05), 0.08, 0.0)
    region = Box([0.0, -0.2, 0.0], [0.2, 0.2, 0.2])
    everywhere, limited = asked(*placed), asked(*placed, region=region)
    assert (everywhere.t[:, 0] < 0).any()
    assert len(limited)
    assert (limited.t[:, 0] > 0).all()


def test_a_target_is_all_that_it_grasps():
    oracle = Oracle()
    objects = [block("a", 0.05, 0.04, 0.05), block("b", 0.05, 0.04, 0.05)]
    poses = np.array([se3.make(np.eye(3), [x, 0.0, 0.025]) for x in (-0.08, 0.08)])
    oracle.reveal(objects, poses, STAGE, False, "b")
    grasps = oracle.detect(Observation(Cloud(np.zeros((0, 3)))), GRIPPER)
    assert len(grasps)
    assert (grasps.t[:, 0] > 0.0).all()


def test_the_same_scene_gives_the_same_grasps():
    placed = (block("a", 0.05, 0.04, 0.05), -0.08, 0.0), (block("b", 0.05, 0.04, 0.05), 0.08, 0.0)
    first, second = asked(*placed), asked(*placed)
    assert np.array_equal(first.t, second.t)
    assert np.array_equal(first.score, second.score)


def test_it_wants_to_be_told_the_truth_first():
    with pytest.raises(InputError, match="reveal"):
        Oracle().detect(Observation(Cloud(np.zeros((0, 3)))), GRIPPER)


def table_with_block() -> Observation:
    x, y = np.meshgrid(np.linspace(-0.15, 0.15, 61), np.linspace(-0.15, 0.15, 61))
    z = np.where((np.abs(x) < 0.03) & (np.abs(y) < 0.03), 0.05, 0.0)
    return Observation(Cloud(np.stack([x, y, z], axis=-1).reshape(-1, 3)))


def test_top_down_goes_straight_down_on_objects_and_depends_on_its_seed_alone():
    detector = TopDown()
    detector.reset(3)
    grasps = detector.detect(table_with_block(), GRIPPER).validate(GRIPPER.max_width)
    assert (np.abs(grasps.t[:, :2]) < 0.035).all()
    assert np.allclose(grasps.R[:, 2, 2], -1.0)
    assert (grasps.t[:, 2] > 0.003).all()
    detector.reset(3)
    assert np.array_equal(detector.detect(table_with_block(), GRIPPER).t, grasps.t)
    detector.reset(4)
    assert not np.array_equal(detector.detect(table_with_block(), GRIPPER).t, grasps.t)


def test_references_take_no_parameters():
    with pytest.raises(ConfigError, match="no parameters"):
        make_contestant(RunConfig(detector="oracle", detector_params={"x": 1}))
    assert isinstance(make_contestant(RunConfig(detector="oracle")), Oracle)
    with pytest.raises(ConfigError, match="unknown detector"):
        make_contestant(RunConfig(detector="no_such_detector"))
