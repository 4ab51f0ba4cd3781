"""The simulated cell behind a UR controller: its arm follows, its gripper grips, a new scene is a new beginning."""

from collections.abc import Iterator

import numpy as np
import pytest

from grasp_core.errors import ConfigError
from grasp_sim.ur_controller.controller import Controller
from grasp_sim.ur_plant import ControllerArm, make_controller
from grasp_sim.work_cell import WorkCell
from test.grasp_sim.robot import ABOVE_BIN, box, cell_with, inverse_kinematics, top_down
from test.ur_robot import own_address

SCRIPT = "def rtde_control():\nend\n"
SERVO = 11


class Plant:
    """A cell and its controller, with ur_rtde's program running."""

    def __init__(self) -> None:
        self.cell: WorkCell = cell_with(box((0.05, 0.05, 0.06)))
        self.controller: Controller = make_controller("ur5e", own_address(), lambda: self.cell)
        self.cell.arm = ControllerArm(self.controller)
        self.cell.step()
        self.controller.program.load(SCRIPT)

    def servo(self, q: np.ndarray, seconds: float) -> None:
        """Stream joints on a straight way to ``q``, as ur_rtde's servoJ does."""
        start, count = self.cell.q.copy(), round(seconds / 0.002)
        for i in range(1, count + 1):
            share = min(1.0, 1.2 * i / count)  # the rest of the time to settle
            blend = share**3 * (10 - 15 * share + 6 * share**2)
            target = start + blend * (q - start)
            values = {f"input_double_register_{k}": v for k, v in enumerate([*target, 0.0, 0.0, 0.002, 0.03, 2000.0])}
            self.controller.registers.write({**values, "input_int_register_0": SERVO}, self.controller.time)
            self.cell.step()

    def grip(self, count: int) -> None:
        """`SET POS` on the gripper's socket, and until the fingers have ended."""
        gripper = self.controller.gripper
        assert gripper._locked(f"SET ACT 1 GTO 1 POS {count} SPE 255 FOR 50") == "ack"
        for _ in range(2000):
            self.cell.step()
            if gripper._locked("GET OBJ") != "OBJ 0":
                return
        raise AssertionError("the fingers do not end")


@pytest.fixture
def plant() -> Iterator[Plant]:
    made = Plant()
    yield made
    made.controller.close()


def test_the_arm_follows_the_stream(plant: Plant) -> None:
    plant.servo(ABOVE_BIN, 2.0)
    np.testing.assert_allclose(plant.cell.q, ABOVE_BIN, atol=2e-3)
    np.testing.assert_allclose(plant.controller.arm.measured.q, plant.cell.q, atol=1e-3)
    assert not plant.controller.arm.still, "the servo holds on"


def test_an_object_is_picked_with_the_gripper_on_the_controller(plant: Plant) -> None:
    (pose,) = plant.cell.object_poses().values()
    grasp = top_down(pose[0, 3], pose[1, 3], pose[2, 3] + 0.01)
    above = grasp.copy()
    above[2, 3] += 0.12
    q_above = inverse_kinematics(plant.cell, above, ABOVE_BIN)
    plant.servo(q_above, 2.0)
    plant.servo(inverse_kinematics(plant.cell, grasp, q_above), 1.5)
    plant.grip(255)
    assert plant.controller.gripper._locked("GET OBJ") == "OBJ 2", "stopped on the object"
    assert plant.cell.width == pytest.approx(0.05, abs=0.002)
    plant.servo(q_above, 1.5)
    assert plant.cell.held_objects() == ["box"]


def test_a_new_scene_leaves_nothing_of_the_old_motion(plant: Plant) -> None:
    home = plant.cell.q.copy()
    plant.servo(ABOVE_BIN, 1.0)
    plant.cell = cell_with()
    plant.cell.arm = ControllerArm(plant.controller)
    plant.cell.step(200)
    np.testing.assert_allclose(plant.cell.q, home, atol=2e-3)
    assert plant.controller.program.running


def test_an_arm_of_another_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="125 Hz"):
        make_controller("ur5", own_address(), lambda: None)
    with pytest.raises(ConfigError, match="no UR model"):
        make_controller("rizon4", own_address(), lambda: None)
