"""The profiles and the bringup of a Rizon, with flexiv_ros2 and with flexiv_driver_node."""

from arm_control.planning.kinematics import Kinematics
from grasp_core.arm import ArmProfile
from grasp_core.gripper import Gripper
from seegrasp.bringup_config import load, parse_settings, resolve


def plans(*settings: str) -> dict:
    return {plan.name: plan for plan in resolve(load("flexiv_realsense"), parse_settings(list(settings)))}


def test_names_with_a_serial_number_fit_a_description_that_has_it() -> None:
    arm, below = ArmProfile.load("rizon4_v1"), ArmProfile.load("rizon4")
    urdf = below.urdf_path.read_text(encoding="utf-8")
    for name in ("base_link", "flange", *(f"{kind}{i}" for kind in ("joint", "link") for i in range(1, 8))):
        urdf = urdf.replace(f'"{name}"', f'"Rizon4-123456_{name}"')
    assert Kinematics(urdf, arm, Gripper.load("flexiv_gripper").T_flange_tcp).names == arm.joints
    assert (arm.driver.trajectory_action, arm.driver.servo_action) == (below.driver.trajectory_action, "")
    assert arm.poses == below.poses


def test_the_driver_is_chosen() -> None:
    assert not {"flexiv_driver", "flexiv_driver_node"} & plans().keys()
    ours = plans("driver:=rdk", "robot_sn:=Rizon4-123456", "start_drivers:=true")
    assert "flexiv_driver" not in ours
    given = ours["flexiv_driver_node"].parameters
    assert (given["robot_sn"], given["cell"], given["gripper"]) == (
        "Rizon4-123456",
        "bin_picking_rizon4",
        "flexiv_gripper",
    )
    assert "flexiv_driver_node" not in plans("start_drivers:=true", "robot_sn:=Rizon4-123456")
