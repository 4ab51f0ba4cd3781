"""`seegrasp calibrate --auto` on the simulated cell: real topics, transforms and actions, pictures with noise.

The command is told a mounting that is 20 mm and 4 deg off; the simulator knows the true one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.action import ActionClient
from rclpy.node import Node
from seegrasp_msgs.action import MoveTo

from grasp_core import se3
from grasp_core.calibration import Calibration
from grasp_core.cell import Cell
from grasp_core.config import config_dir
from hand_eye.nodes import calibrate
from seegrasp.bringup import Bringup
from test.domains import own_domain

READY_S = 300.0
SETTINGS = (
    "objects:=0",
    "scene:=single",
    "noise:=true",
    "sim_node.color_noise:=2.5",
    "sim_node.overhead:=false",
    "sim_node.board:=a4",
    "sim_node.board_pose:=[0.5, 0.0, 0.1, 3.1416, 0.0, 1.57]",
    "arm_node.require_guard:=false",  # pick_node is not there
)
TRUTH = Cell.load("bin_picking").cameras[0].T_parent_optical


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Path]:
    """Simulator, camera and arm nodes at the observe pose; the cell file that the command is given."""
    with own_domain():
        data = yaml.safe_load((config_dir() / "cells" / "bin_picking.yaml").read_text())
        data["cameras"][0] |= {"position": [0.012, -0.085, 0.048], "rpy": [0.05, -0.04, 0.03]}
        path = tmp_path / "cell.yaml"
        path.write_text(yaml.safe_dump(data))
        bringup = Bringup.load("sim", tmp_path / "logs", SETTINGS, without=("detector_node", "pick_node"))
        with bringup:
            observe()
            yield path


def observe() -> None:
    """Drive to the cell's observe pose, from where the board is seen."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("observer", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    client = ActionClient(node, MoveTo, "/move_to")
    try:
        assert client.wait_for_server(timeout_sec=120.0)
        deadline = time.monotonic() + READY_S
        while True:  # arm_node answers before it has heard of joints and URDF
            sent = client.send_goal_async(MoveTo.Goal(target_type=MoveTo.Goal.NAMED, name="observe"))
            executor.spin_until_future_complete(sent, 60.0)
            answer = sent.result().get_result_async()
            executor.spin_until_future_complete(answer, 180.0)
            if answer.result().result.error_code == 0:
                return
            assert time.monotonic() < deadline, answer.result().result.error_msg
            time.sleep(1.0)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_the_arm_calibrates_its_camera(cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "wrist.yaml"
    options = ["--cell", str(cell), "--auto", "--yes", "--speed", "0.5", "--wait", "60", "--out", str(out)]
    code = calibrate.main([*options, "--poses", "9"])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    assert "verdict: trust it" in said.out
    kept = Calibration.load(out)
    assert (kept.mode, kept.parent_frame, kept.child_frame) == ("eye_in_hand", "tool0", "camera_color_optical_frame")
    assert np.linalg.norm(kept.T_parent_child[:3, 3] - TRUTH[:3, 3]) < 1e-3
    assert np.rad2deg(se3.rotation_angle(kept.T_parent_child[:3, :3], TRUTH[:3, :3])) < 0.15

    code = calibrate.main([*options, "--check", "--poses", "3"])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    assert "scatter by" in said.out
