"""arm_node with planner:=move_group, against fake drivers and a MoveIt double over DDS."""

from types import SimpleNamespace

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ExecuteGrasp, MoveTo

from arm_control.nodes.arm_node import ArmNode
from grasp_core import se3
from grasp_core.errors import ErrorCode
from grasp_ros.conversions import matrix_to_pose
from test.arm_control.conftest import eventually
from test.arm_control.fakes import ARM, DOWN, Client, FakeEyes, FakeRobot, candidates
from test.arm_control.planning.moveit.double import MoveItDouble
from test.arm_control.planning.moveit.move_group_double import MoveGroupDouble


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot, eyes, user = FakeRobot(ros.context), FakeEyes(ros.context), Node("user", context=ros.context)
    parameters = {"armed": True, "planner": "move_group", "plan_time": 20.0}
    arm = ArmNode(context=ros.context, parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()])
    for nodes, threads in (((robot,), 4), ((eyes,), 2), ((arm,), 4), ((arm.data,), 1), ((user,), 1)):
        ros.spin(*nodes, threads=threads)
    move, grasp = Client(user, MoveTo, "move_to"), Client(user, ExecuteGrasp, "execute_grasp")
    eventually(lambda: arm.trajectory.available() and arm.gripper.available() and arm.clouds.newest_stamp())
    robot.describe()
    eventually(lambda: arm._planner is not None, 20.0, "planner from the latched URDF")
    return SimpleNamespace(ros=ros, robot=robot, arm=arm, move=move, grasp=grasp)


def code(result) -> str:
    return ErrorCode(result.error_code).name


def test_nothing_moves_without_move_group(rig):
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "PLANNER_UNAVAILABLE"
    assert "start MoveIt beside" in result.error_msg
    assert rig.robot.trajectories == []


def test_a_grasp_and_what_follows(rig):
    double = MoveItDouble(ARM.urdf_path.read_text(), ARM)
    rig.ros.spin(MoveGroupDouble(rig.ros.context, double), threads=2)
    client = rig.arm._planner.moveit._clients["get_planning_scene"]
    eventually(client.service_is_ready, 20.0, "move_group")
    result = rig.grasp.call(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp())), 60.0)
    assert code(result) == "NONE", result.error_msg
    goal = MoveTo.Goal(target_type=MoveTo.Goal.POSE)
    goal.pose.pose, goal.pose.header.frame_id = matrix_to_pose(se3.make(DOWN, [0.30, 0.50, 0.25])), "base_link"
    result = rig.move.call(goal, 60.0)
    assert code(result) == "NONE", result.error_msg
    assert "seegrasp_held_object" in double.scene.attached
    result = rig.move.call(MoveTo.Goal(name="observe", set_gripper=True, gripper_width=0.085), 60.0)
    assert code(result) == "NONE", result.error_msg
    result = rig.move.call(MoveTo.Goal(name="home"), 60.0)
    assert code(result) == "NONE", result.error_msg
    assert "seegrasp_held_object" not in double.scene.attached, "released with the gripper"
    assert double.complaints == []
