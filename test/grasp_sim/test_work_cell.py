"""The simulated robot: it stands still, follows, carries, and knows what it touches."""

from pathlib import Path

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, InputError, SeegraspError
from grasp_core.follower import Outcome
from grasp_core.gripper import Gripper
from grasp_sim.scenes import sample_scene
from grasp_sim.work_cell import WorkCell
from test.grasp_sim.robot import ABOVE_BIN, box, cell_with, move, pick, top_down


def test_stands_still_against_gravity() -> None:
    cell = cell_with()
    before = cell.q.copy()
    cell.run(1.0)
    np.testing.assert_allclose(cell.q, before, atol=1e-5)
    assert np.abs(cell.qd).max() < 1e-4


def test_frames_agree_with_the_profiles() -> None:
    cell = cell_with()
    frames = {child: (parent, T) for parent, child, T in cell.frames() + cell.frames(static=True)}
    assert frames["tool0"][0] == "flange"
    T, frame = np.eye(4), "tool0"
    while frame != "base_link":
        frame, step = frames[frame]
        T = step @ T
    np.testing.assert_allclose(T @ cell.gripper_profile.T_flange_tcp, cell.T_base_tcp(), atol=1e-9)


def test_tracks_fast_motions_with_a_payload() -> None:
    cell = cell_with(box((0.04, 0.03, 0.05), mass=0.5))
    command = pick(cell, top_down(0.5, 0.0, 0.025))
    assert command.stalled
    assert cell.held_objects() == ["box"]
    worst = 0.0
    for target in (ABOVE_BIN + np.array([0.8, 0.3, -0.4, 0.3, 0.3, 1.0]), ABOVE_BIN):
        outcome, error = move(cell, target, 1.0)
        worst = max(worst, error)
        assert outcome is Outcome.SUCCEEDED
    assert cell.held_objects() == ["box"]
    assert worst < 0.005


def test_free_motion_touches_nothing_and_a_crash_is_counted() -> None:
    cell = cell_with()
    move(cell, ABOVE_BIN)
    assert cell.contacts.counts.robot == 0
    move(cell, ABOVE_BIN + np.array([0.0, 0.75, 0.0, 0.0, 0.0, 0.0]), 1.0)  # into the table
    counts = cell.contacts.counts
    assert counts.robot + counts.finger_environment > 0
    assert counts.robot_penetration > 0
    assert any("bin" in pair or "table" in pair for pair in counts.pairs)


@pytest.mark.parametrize("kind", ["bin", "pile"])
def test_same_arguments_same_future(kind: str) -> None:
    cell, arm, gripper = Cell.load("bin_picking"), ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85")
    states = []
    for _ in range(2):
        scene = sample_scene(kind, 4, 7, cell)
        work_cell = WorkCell(cell, arm, gripper, scene.objects, scene.poses, scene.with_bin)
        work_cell.run(0.2)
        states.append(work_cell.snapshot().qpos)
    np.testing.assert_array_equal(*states)


def test_settled_objects_stay_where_they_are() -> None:
    cell = Cell.load("bin_picking")
    scene = sample_scene("bin", 8, 1, cell)
    work_cell = WorkCell(cell, ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85"), scene.objects, scene.poses)
    work_cell.run(1.0)
    after = np.stack(list(work_cell.object_poses().values()))
    assert np.linalg.norm(after[:, :3, 3] - scene.poses[:, :3, 3], axis=1).max() < 0.003
    assert work_cell.contacts.counts.penetration < 0.002


def test_scene_without_bin_has_none() -> None:
    cell = Cell.load("bin_picking")
    work_cell = WorkCell(cell, ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85"), with_bin=False)
    names = [work_cell.model.geom(i).name for i in range(work_cell.model.ngeom)]
    assert "table" in names
    assert "tray_floor" in names
    assert not any(name.startswith("bin_") for name in names)


def test_observe_pose_looks_straight_down_into_the_bin() -> None:
    cell = cell_with()
    cell.place_arm(np.array(cell.cell.poses["observe"]))
    wrist = cell.cell.cameras[0]
    tool = cell.body_pose(cell.model.body(wrist.parent).id)
    T = tool @ wrist.T_parent_optical
    np.testing.assert_allclose(T[:3, 2], [0, 0, -1], atol=1e-3)
    container = cell.cell.bin
    rim = cell.cell.table.height + container.wall_height
    half = np.array(container.size) / 2
    corners = np.array([[*(np.array(container.center) + half * s), rim] for s in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
    pixels = wrist.camera_profile.camera(wrist.frame).project(se3.transform(se3.inverse(T), corners))
    assert np.all(pixels > 0)
    assert np.all(pixels < [640, 480])


def test_what_disagrees_is_an_error() -> None:
    cell, arm, gripper = Cell.load("bin_picking"), ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85")
    with pytest.raises(InputError, match="one pose per object"):
        WorkCell(cell, arm, gripper, [box((0.04, 0.04, 0.04))], None)
    with pytest.raises(ConfigError, match="base_link"):
        WorkCell(cell.model_copy(update={"base_frame": "world"}), arm, gripper)
    astray = cell.cameras[0].model_copy(update={"parent": "tool7"})
    with pytest.raises(ConfigError, match="tool7"):
        WorkCell(cell.model_copy(update={"cameras": (astray,)}), arm, gripper)
    with pytest.raises(ConfigError, match="home"):
        WorkCell(cell, arm.model_copy(update={"poses": {}}), gripper)


def test_diverged_physics_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings into a file there
    cell = cell_with(box((0.04, 0.04, 0.04)))
    cell.data.qvel[-1] = np.nan
    with pytest.raises(SeegraspError, match="diverged"):
        cell.step(5)
