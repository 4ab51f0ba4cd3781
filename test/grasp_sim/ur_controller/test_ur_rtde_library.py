"""The real ur_rtde library against the controller: it does not notice that there is no robot."""

import math
import time
from collections.abc import Iterator

import dashboard_client
import numpy as np
import pytest
import rtde_control
import rtde_io
import rtde_receive

from grasp_sim.ur_controller.models import MODELS
from test.ur_robot import UrRobot, wait_for

HOME = np.array(MODELS["ur5e"].home)


@pytest.fixture(params=MODELS)
def robot(request: pytest.FixtureRequest) -> Iterator[UrRobot]:
    with UrRobot("--model", request.param) as robot:
        yield robot


@pytest.fixture
def receive(robot: UrRobot) -> Iterator[rtde_receive.RTDEReceiveInterface]:
    interface = rtde_receive.RTDEReceiveInterface(robot.address)
    yield interface
    interface.disconnect()


@pytest.fixture
def control(robot: UrRobot) -> Iterator[rtde_control.RTDEControlInterface]:
    interface = rtde_control.RTDEControlInterface(robot.address)
    yield interface
    interface.disconnect()


def test_moves_end_where_they_should(
    control: rtde_control.RTDEControlInterface, receive: rtde_receive.RTDEReceiveInterface
) -> None:
    target = HOME + np.array([0.2, 0.1, -0.1, 0.0, 0.1, 0.3])
    assert control.moveJ(target.tolist(), 1.5, 4.0)
    np.testing.assert_allclose(receive.getActualQ(), target, atol=1e-3)
    pose = receive.getActualTCPPose()
    pose[2] -= 0.05
    assert control.moveL(pose, 0.25, 1.2)
    np.testing.assert_allclose(receive.getActualTCPPose(), pose, atol=1e-3)
    np.testing.assert_allclose(control.getInverseKinematics(pose), receive.getActualQ(), atol=1e-2)
    assert control.isSteady()


def test_streams_and_stops(
    control: rtde_control.RTDEControlInterface, receive: rtde_receive.RTDEReceiveInterface
) -> None:
    for i in range(100):
        assert control.servoJ((HOME + 0.001 * i).tolist(), 0, 0, 0.002, 0.05, 1000)
        time.sleep(0.002)
    assert control.servoStop()
    reached = np.array(receive.getActualQ())
    assert (reached > HOME + 0.03).all()
    assert control.speedJ([0.2, 0, 0, 0, 0, 0], 5.0)
    wait_for(lambda: math.isclose(receive.getActualQd()[0], 0.2, abs_tol=1e-6), "the speed")
    assert control.speedStop()
    wait_for(lambda: receive.getActualQd()[0] == 0.0, "the stop")


def test_a_protective_stop_and_the_way_out(
    robot: UrRobot, control: rtde_control.RTDEControlInterface, receive: rtde_receive.RTDEReceiveInterface
) -> None:
    robot.say("protective_stop")
    wait_for(receive.isProtectiveStopped, "the stop")
    assert not control.moveJ((HOME + 0.1).tolist())
    dashboard = dashboard_client.DashboardClient(robot.address)
    dashboard.connect()
    assert dashboard.safetymode() == "Safetymode: PROTECTIVE_STOP"
    dashboard.unlockProtectiveStop()
    control.reuploadScript()
    wait_for(control.isProgramRunning, "the program")
    assert control.moveJ((HOME + 0.1).tolist())


def test_outputs_and_slider(robot: UrRobot, receive: rtde_receive.RTDEReceiveInterface) -> None:
    io = rtde_io.RTDEIOInterface(robot.address)
    assert io.setSpeedSlider(0.3)
    wait_for(lambda: math.isclose(receive.getTargetSpeedFraction(), 0.3), "the slider")
    assert io.setStandardDigitalOut(2, True)
    wait_for(lambda: receive.getDigitalOutState(2), "the output")
    io.disconnect()


def test_registers_belong_to_one_client(robot: UrRobot, control: rtde_control.RTDEControlInterface) -> None:
    with pytest.raises(RuntimeError, match="already in use"):
        rtde_control.RTDEControlInterface(robot.address)


@pytest.mark.parametrize("robot", ["ur5e"], indirect=True)
def test_remote_control_is_asked_for(robot: UrRobot) -> None:
    robot.say("local")
    with pytest.raises(RuntimeError, match="remote control"):
        rtde_control.RTDEControlInterface(robot.address)


def test_what_a_controller_does_not_have_is_not_found(robot: UrRobot) -> None:
    with pytest.raises(RuntimeError, match="no_such_thing"):
        rtde_receive.RTDEReceiveInterface(robot.address, -1.0, ["timestamp", "no_such_thing"])
