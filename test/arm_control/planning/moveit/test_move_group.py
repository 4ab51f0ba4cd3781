"""move_group that is not there, hangs, refuses, forgets, or means another robot; and what is asked of it."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from moveit_msgs.msg import MoveItErrorCodes
from rclpy.node import Node

from arm_control.drivers.moveit import move_group as module
from arm_control.drivers.moveit.move_group import SERVICES, MoveGroup
from arm_control.planning import HeldObject
from arm_control.planning.cartesian import Line
from arm_control.planning.moveit.errors import CODES, SUCCESS
from arm_control.planning.moveit.planner import MoveItPlanner
from grasp_core import se3
from grasp_core.errors import ErrorCode, SeegraspError

from ..conftest import block, solid, top_down, wall
from .double import MoveItDouble
from .move_group_double import MoveGroupDouble

HELD = HeldObject(np.array([0.0, 0.0, 0.01]), np.array([0.05, 0.05, 0.05]))


@pytest.fixture(scope="module")
def client(ros) -> Node:
    node = Node("planning", context=ros.context)
    ros.spin(node, threads=2)
    return node


@pytest.fixture
def connect(client, urdf, arm, gripper, cell):
    """A new planner, with profiles changed as told."""
    made = []

    def connect(**changes):
        changed = arm.model_copy(update=changes)
        door = MoveGroup(client, changed, server_timeout=0.5, answer_timeout=30.0)
        made.append(MoveItPlanner(door, urdf, changed, gripper, cell))
        return made[-1]

    yield connect
    for planner in made:
        planner.close()


def failing(code, call, *args, **options) -> str:
    with pytest.raises(SeegraspError) as caught:
        call(*args, **options)
    assert caught.value.code == code, caught.value
    return str(caught.value)


# before there is a move_group: this test has to come first


def test_without_move_group_the_service_and_what_to_launch_are_told(connect, home):
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, connect().plan_joints, home, home + 0.1, 0.085)
    assert "service /compute_fk of move_group is not there" in told
    assert "ros2 launch ur_moveit_config ur_moveit.launch.py ur_type:=ur5e" in told


@pytest.fixture(scope="module")
def server(ros, urdf, arm) -> MoveGroupDouble:
    node = MoveGroupDouble(ros.context, MoveItDouble(urdf, arm))
    ros.spin(node, threads=3)
    return node


@pytest.fixture
def move_group(server):
    server.reset()
    server.moveit.scene.reset()
    yield server
    server.reset()


@pytest.fixture
def planner(move_group, connect, home):
    """A planner that has met its move_group."""
    planner = connect()
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        try:
            planner.plan_joints(home, home + 0.01, 0.085)
            break
        except SeegraspError as error:
            if error.code != ErrorCode.PLANNER_UNAVAILABLE:
                raise
    return planner


# It is not there, or does not answer.


@pytest.mark.parametrize("service", [s for s in SERVICES if s not in ("compute_fk", "compute_ik")])
def test_a_service_that_hangs(planner, move_group, home, service):
    move_group.silent = {service}
    T = planner.fk(home)
    T[2, 3] -= 0.05
    motion = planner.plan_linear if service == "compute_cartesian_path" else planner.plan_joints
    goal = T if service == "compute_cartesian_path" else home + 0.1
    planner.set_scene(block())
    planner.max_time, planner.moveit._answer_timeout = 0.2, 1.5
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, motion, home, goal, 0.085)
    assert f"service /{service} of move_group did not answer within" in told
    move_group.reset()
    motion(home, goal, 0.085)


@pytest.mark.parametrize("service", ["compute_fk", "compute_ik"])
def test_a_service_that_hangs_at_the_first_plan(planner, move_group, connect, home, service):
    move_group.silent = {service}
    later = connect()
    later.moveit._answer_timeout = 1.5
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, later.plan_joints, home, home + 0.1, 0.085)
    assert f"/{service}" in told


# It is configured for something else.


def test_a_group_that_moveit_does_not_know(planner, connect, home):
    told = failing(ErrorCode.CONFIG, connect(planning_group="manipulator").plan_joints, home, home + 0.1, 0.085)
    assert "for group 'manipulator': MoveIt answered INVALID_GROUP_NAME: set planning_group of the arm profile" in told


def test_a_flange_that_moveit_does_not_know(planner, move_group, connect, home, arm, monkeypatch):
    monkeypatch.setattr(move_group.moveit, "arm", arm.model_copy(update={"flange_frame": "flange_link"}))
    told = failing(ErrorCode.CONFIG, connect().plan_joints, home, home + 0.1, 0.085)
    assert "INVALID_LINK_NAME: is the arm profile's flange_frame a link of MoveIt's robot model?" in told


def test_another_robot_model(planner, move_group, connect, home):
    move_group.shift = se3.make(np.eye(3), [0.0, 0.0, 0.004])
    told = failing(ErrorCode.CONFIG, connect().plan_joints, home, home + 0.1, 0.085)
    assert "tool0 differs by 4.0 mm" in told
    assert "with its calibration" in told


# The scene.


def test_a_refused_scene(planner, move_group, home):
    move_group.refuse = True
    planner.set_scene(wall())
    told = failing(ErrorCode.CONFIG, planner.plan_joints, home, home + 0.1, 0.085)
    assert "MoveIt refused a part of the planning scene" in told


def test_a_scene_that_is_not_taken_over(planner, move_group, connect, home):
    move_group.moveit.scene.reset()
    move_group.forget = True
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, connect().plan_joints, home, home + 0.1, 0.085)
    assert "MoveIt has not taken over the scene: object seegrasp_bin_" in told
    assert "more" in told


def test_a_restarted_move_group_gets_the_scene_anew(planner, move_group, home):
    planner.set_scene(wall())
    goal = planner.ik(top_down(0.3, 0.5, 0.2), home)[0]
    assert planner.contacts((home + goal) / 2, 0.085)
    move_group.moveit.scene.reset()
    assert planner.contacts((home + goal) / 2, 0.085), "the wall is back"


def test_a_release_after_a_restart(planner, move_group, home):
    """Taking off what is not there is refused by MoveIt: then the whole scene is sent."""
    planner.set_scene(wall(), held=HELD)
    planner.contacts(home, 0.05)
    move_group.moveit.scene.reset()
    planner.set_held(None)
    assert planner.contacts(home, 0.05) == []
    assert "seegrasp_held_object" not in move_group.moveit.scene.attached
    assert move_group.moveit.complaints == []


def test_what_an_earlier_run_left_is_cleared(planner, move_group, connect, home):
    planner.set_scene(None, held=HELD)
    planner.contacts(home, 0.05)
    move_group.moveit.scene.put("seegrasp_old", np.eye(4), np.full(3, 0.1))
    later = connect()
    later.contacts(home, 0.05)
    assert "seegrasp_held_object" not in move_group.moveit.scene.attached
    assert "seegrasp_old" not in move_group.moveit.scene.world


def test_a_move_group_that_dies_while_it_plans(planner, move_group, home):
    move_group.moveit.on_plan = move_group.moveit.scene.reset
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, planner.plan_joints, home, home + 0.1, 0.085)
    assert "MoveIt has lost the scene while it planned" in told
    move_group.reset()
    planner.plan_joints(home, home + 0.1, 0.085)


def test_an_octomap_of_somebody_else(planner, move_group, home):
    move_group.foreign = 0.05
    told = failing(ErrorCode.PLANNER_UNAVAILABLE, planner.plan_joints, home, home + 0.1, 0.085)
    assert "the octomap is not ours (it has cells of 0.05 m): does a sensors_3d.yaml of MoveIt write one, too?" in told


def test_what_others_put_in_the_scene_stays_and_counts(planner, move_group, home):
    move_group.moveit.scene.put("pole", se3.make(np.eye(3), [0.3, 0.5, 0.2]), np.array([0.2, 0.2, 0.4]))
    planner.set_scene(wall())
    told = failing(ErrorCode.GOAL_IN_COLLISION, planner.plan_pose, home, top_down(0.3, 0.5, 0.2), 0.085)
    assert "pole" in told
    assert "pole" in move_group.moveit.scene.world
    assert move_group.moveit.complaints == []


def test_only_what_changed_is_sent(planner, move_group, home):
    planner.set_scene(wall())
    planner.contacts(home, 0.085)
    applied = move_group.moveit.scene.applied
    count = len(applied)
    planner.contacts(home, 0.085)
    assert len(applied) == count
    planner.contacts(home, 0.04)
    change = applied[count]
    ids = [o.object.id for o in change.robot_state.attached_collision_objects]
    assert sorted(ids) == ["seegrasp_left_finger", "seegrasp_right_finger"]
    assert {o.link_name for o in change.robot_state.attached_collision_objects} == {"tool0"}
    assert not change.world.collision_objects
    assert not change.world.octomap.octomap.id
    assert not change.allowed_collision_matrix.entry_names


# What it answers.


@pytest.mark.parametrize("value", [*CODES, 4711])
def test_every_code_says_what_to_do(planner, move_group, home, value):
    move_group.moveit.plan_answer = value
    name, code, hint = CODES.get(value, ("unknown code 4711", ErrorCode.NO_PATH, "log"))
    told = failing(code, planner.plan_joints, home, home + 0.1, 0.085)
    assert name in told
    assert hint in told
    assert "ur_manipulator" in told


def test_the_table_has_every_code_of_the_message():
    constants = type(MoveItErrorCodes).__prepare__("", ())
    told = {name: value for value, (name, _, _) in CODES.items()} | {"SUCCESS": SUCCESS}
    assert told == {name: value for name, value in constants.items() if isinstance(value, int)}


def test_a_partial_line_says_how_far_it_got(planner, move_group, home):
    T = planner.fk(home)
    T[2, 3] -= 0.1
    move_group.moveit.reach = 0.6
    told = failing(ErrorCode.NO_PATH, planner.plan_linear, home, T, 0.085)
    assert "MoveIt followed 55 % of the straight line of 0.100 m (needed: 99 %)" in told
    assert "nothing touches there" in told
    planner.min_fraction = 0.5
    part = planner.plan_linear(home, T, 0.085)
    assert planner.fk(home)[2, 3] - planner.fk(part.q[-1])[2, 3] == pytest.approx(0.055, abs=1e-3)


def test_a_line_that_does_not_move_at_all(planner, move_group, home):
    T = planner.fk(home)
    T[2, 3] -= 0.1
    move_group.moveit.reach = 0.0
    assert "MoveIt followed 0 %" in failing(ErrorCode.NO_PATH, planner.plan_linear, home, T, 0.085)


def test_a_start_in_collision_for_moveit_alone(planner, move_group, home):
    palm = planner.fk(home) @ se3.make(np.eye(3), [0.0, 0.0, -0.12])
    move_group.moveit.scene.put("somebody's box", palm, np.full(3, 0.05))
    told = failing(ErrorCode.START_IN_COLLISION, planner.plan_joints, home, home + 0.3, 0.085)
    assert "for MoveIt, not for our own model" in told
    assert "somebody's box" in told


def test_a_planning_service_that_hides_its_codes(planner, move_group, home):
    """As in Kilted: FAILURE whatever it was; contacts of start and goal were looked at before."""
    move_group.moveit.codes = False
    try:
        move_group.moveit.plan_answer = MoveItErrorCodes.START_STATE_INVALID
        assert "FAILURE: MoveIt's log" in failing(ErrorCode.NO_PATH, planner.plan_joints, home, home + 0.1, 0.085)
        planner.set_scene(solid([0.4, -0.1, 0.1], [0.6, 0.1, 0.3]))
        goal = planner.inverse.solve(top_down(0.5, 0.0, 0.12), home)[0][0]
        assert "scene" in failing(ErrorCode.GOAL_IN_COLLISION, planner.plan_joints, home, goal, 0.085)
    finally:
        move_group.moveit.codes = True


# What it is asked.


def test_requests_carry_scaling_and_time(planner, move_group, home):
    planner.max_time = 1.5
    planner.plan_joints(home, home + 0.1, 0.085, velocity_scaling=0.3)
    request = move_group.moveit.requests[-1]
    assert (request.max_velocity_scaling_factor, request.max_acceleration_scaling_factor) == (0.3, 0.3)
    assert request.allowed_planning_time == 1.5
    assert request.pipeline_id == request.planner_id == "", "those of MoveIt's configuration"
    T = planner.fk(home)
    T[2, 3] -= 0.05
    planner.plan_linear(home, T, 0.085, velocity_scaling=0.3)
    request = move_group.moveit.requests[-1]
    assert (request.max_velocity_scaling_factor, request.max_acceleration_scaling_factor) == (0.3, 0.3)
    assert request.jump_threshold > 1.0
    assert move_group.moveit.complaints == []


def test_moveits_solver_is_asked_where_ours_finds_nothing(planner, move_group, home, monkeypatch):
    T = top_down(0.5, 0.0, 0.2)
    planner.ik(T, home)
    monkeypatch.setattr(planner.inverse.closed, "supported", False)
    monkeypatch.setattr(planner.inverse, "solve", lambda T, seed: (np.zeros((0, 6)), 0))
    (found,) = planner.ik(T, home)
    np.testing.assert_allclose(planner.fk(found), T, atol=1e-4)
    failing(ErrorCode.UNREACHABLE, planner.ik, top_down(1.5, 0.0, 0.2), home)
    assert move_group.moveit.complaints == []


def test_humble_has_no_scaling_of_lines(client, arm, monkeypatch, home):
    sent = []

    class Request(SimpleNamespace):
        def __init__(self, **fields):
            super().__init__(header=SimpleNamespace(frame_id=""), **fields)

    monkeypatch.setattr(module, "GetCartesianPath", SimpleNamespace(Request=Request))
    solution = SimpleNamespace(joint_trajectory=SimpleNamespace(points=[]))
    answer = SimpleNamespace(error_code=SimpleNamespace(val=1), solution=solution, fraction=0.25)
    monkeypatch.setattr(MoveGroup, "_ask", lambda self, name, request, more=0.0: sent.append(request) or answer)
    door = MoveGroup(client, arm)
    line = Line(np.array([0.0, 1.0]), np.stack([np.eye(4)] * 2), np.stack([home, home]), 0.1)
    assert door.follow(line, line.poses, 0.5) == (None, 0.25)
    assert not hasattr(sent[0], "max_velocity_scaling_factor")
    door.close()
