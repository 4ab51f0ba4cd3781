"""The controller's motions keep their limits and end where they should; the program carries commands out."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.trajectory import State
from grasp_core.ur_modes import RobotMode, RuntimeState, SafetyMode
from grasp_sim.ur_controller.controller import Controller
from grasp_sim.ur_controller.kinematics import vector
from grasp_sim.ur_controller.models import find_model
from grasp_sim.ur_controller.motion import Brake, MoveJ, Servo, trapezoid
from test.ur_robot import own_address

MODEL = find_model("ur5e")
HOME = np.array(MODEL.home)
SCRIPT = "def rtde_control():\nglobal reg_offset_int = # int register offset\n0\nend\n"


@given(length=st.floats(0.001, 5.0), speed=st.floats(0.01, 3.0), acceleration=st.floats(0.1, 10.0))
def test_a_trapezoid_keeps_speed_and_acceleration(length: float, speed: float, acceleration: float) -> None:
    t, way, before, done = 0.0, 0.0, 0.0, False
    while not done:
        t += 0.01
        last = way
        way, now, done = trapezoid(length, speed, acceleration, t)
        assert way >= last - 1e-12
        assert now <= speed + 1e-9
        assert abs(now - before) <= acceleration * 0.01 + 1e-9 or done
        before = now
    assert way == pytest.approx(length)


def run(motion: MoveJ | Servo | Brake, state: State, seconds: float) -> list[State]:
    states = [state]
    for _ in range(round(seconds / 0.002)):
        states.append(motion.step(states[-1], 0.002))
    return states


def test_a_move_arrives_with_all_joints_at_once() -> None:
    target = HOME + np.array([0.5, -0.2, 0.1, 0.0, 0.0, 0.3])
    motion = MoveJ(State.at_rest(HOME), target, 1.0, 2.0)
    states = run(motion, State.at_rest(HOME), 1.5)
    assert motion.done
    np.testing.assert_allclose(states[-1].q, target)
    assert max(np.abs(s.qd).max() for s in states) <= 1.0 + 1e-9
    shares = (states[300].q - HOME)[[0, 1, 5]] / (target - HOME)[[0, 1, 5]]
    np.testing.assert_allclose(shares, shares[0])


def test_a_servo_holds_its_last_target_within_the_limits() -> None:
    states = run(Servo(MODEL, HOME + 0.8, 0.03), State.at_rest(HOME), 2.0)
    np.testing.assert_allclose(states[-1].q, HOME + 0.8, atol=1e-6)
    assert max(np.abs(s.qd).max() for s in states) <= np.pi + 1e-9


def test_a_brake_stops_all_joints_at_once() -> None:
    moving = State(HOME, np.array([1.0, -0.5, 0, 0, 0, 0]), np.zeros(6))
    states = run(Brake(moving, 4.0), moving, 0.3)
    np.testing.assert_allclose(states[-1].qd, 0.0)
    np.testing.assert_allclose(states[-1].q - HOME, [0.125, -0.0625, 0, 0, 0, 0], atol=1e-6)


@pytest.fixture
def controller() -> Iterator[Controller]:
    """A controller whose time stands still but for `cycle`, with ur_rtde's program running."""
    made = Controller(MODEL, own_address())
    made.program.load(SCRIPT)
    yield made
    made.close()


def command(controller: Controller, number: int, *doubles: float, asynchronous: bool = False) -> None:
    names = {f"input_double_register_{i}": value for i, value in enumerate(doubles)}
    controller.registers.write(
        {**names, "input_int_register_1": int(asynchronous), "input_int_register_0": number}, controller.time
    )


def cycles(controller: Controller, count: int) -> None:
    for _ in range(count):
        controller.cycle()


def test_a_move_is_done_when_the_arm_has_arrived(controller: Controller) -> None:
    command(controller, 1, *(HOME + 0.1), 1.0, 2.0)
    cycles(controller, 50)
    assert controller.registers.out_int[0] == 1
    cycles(controller, 400)
    assert controller.registers.out_int[0] == 2
    np.testing.assert_allclose(controller.arm.measured.q, HOME + 0.1, atol=1e-9)
    command(controller, 0)
    cycles(controller, 1)
    assert controller.registers.out_int[0] == 1


def test_servo_targets_are_poses_of_the_tool(controller: Controller) -> None:
    command(controller, 29, 0.0, 0.0, 0.155, 0.0, 0.0, 0.0)
    cycles(controller, 2)
    command(controller, 0)
    cycles(controller, 2)
    pose = vector(controller.arm.kinematics.forward(HOME)) + np.array([0.02, 0.0, -0.03, 0.0, 0.0, 0.0])
    command(controller, 24, *pose, 0.0, 0.0, 0.002, 0.03, 2000.0)
    cycles(controller, 300)
    np.testing.assert_allclose(vector(controller.arm.kinematics.forward(controller.arm.measured.q)), pose, atol=1e-5)


def test_a_pose_out_of_reach_ends_the_program(controller: Controller) -> None:
    command(controller, 24, 2.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.002, 0.03, 2000.0)
    cycles(controller, 2)
    assert controller.program.runtime_state == RuntimeState.STOPPED
    assert "inverse kinematics" in controller.program.ended


def test_beyond_its_limits_the_arm_stops_protectively(controller: Controller) -> None:
    command(controller, 9, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 10.0, 0.0)
    cycles(controller, 1500)
    assert controller.safety.safety_mode is SafetyMode.PROTECTIVE_STOP
    assert "joint 2 reaches its position limit" in controller.safety.reason
    assert controller.arm.still


def test_a_client_that_falls_silent_ends_the_program(controller: Controller) -> None:
    command(controller, 35, 20.0)
    cycles(controller, 2)
    command(controller, 9, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0)
    cycles(controller, 20)
    assert controller.program.running
    cycles(controller, 10)
    assert not controller.program.running
    assert "watchdog" in controller.program.ended
    cycles(controller, 100)
    assert controller.arm.still


def test_an_emergency_stop_takes_the_power_until_it_is_released(controller: Controller) -> None:
    command(controller, 1, *(HOME + 0.5), 1.0, 2.0)
    cycles(controller, 100)
    controller.emergency_stop()
    cycles(controller, 100)
    assert (controller.safety.robot_mode, controller.safety.safety_mode) == (
        RobotMode.POWER_OFF,
        SafetyMode.ROBOT_EMERGENCY_STOP,
    )
    assert controller.arm.still
    controller.safety.release_brakes()
    assert controller.safety.robot_mode is RobotMode.POWER_OFF
    controller.safety.release()
    controller.safety.release_brakes()
    assert controller.safety.may_move


def test_the_speed_slider_stretches_moves(controller: Controller) -> None:
    controller.registers.write({"speed_slider_mask": 1, "speed_slider_fraction": 0.5}, 0.0)
    command(controller, 1, *(HOME + 1.0), 1.0, 2.0)
    cycles(controller, 600)
    assert np.abs(controller.arm.measured.qd).max() == pytest.approx(0.5, rel=0.02)


def test_an_arm_that_is_put_elsewhere_stays_there(controller: Controller) -> None:
    command(controller, 11, *(HOME + 0.5), 0.0, 0.0, 0.002, 0.03, 2000.0)
    cycles(controller, 50)
    controller.place(HOME)
    cycles(controller, 50)
    np.testing.assert_allclose(controller.arm.measured.q, HOME)
