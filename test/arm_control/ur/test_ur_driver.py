"""The driver and the real ur_rtde against a controller: motions, stops, and everything that can break between them."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from arm_control.drivers.streaming.driver import ArmDriver, Motion
from arm_control.drivers.streaming.servo import ServoLimits
from arm_control.drivers.streaming.session import SessionSettings
from arm_control.drivers.ur.link import LinkSettings
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_core.follower import Outcome, Tolerances
from grasp_core.gripper import Gripper
from grasp_core.trajectory import Spline
from test.ur_robot import UrRobot, wait_for

JOINTS = ("a", "b", "c", "d", "e", "f")
TOLERANCES = Tolerances(np.full(6, 0.2), np.full(6, np.inf), np.full(6, 0.02), np.full(6, 0.05), 5.0)
LIMITS = ServoLimits(0.2, 1.0, 1.0, 4.0, np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.0]), 1.0, 0.001, 0.01)
# A busy machine is not what these tests are about.
TIMEOUT, SILENCE = 1.0, 15.0
_SERIES = {"ur5": 3, "ur5e": 5}

Arm = tuple[UrRobot, ArmDriver]
Start = Callable[..., Arm]


def make_driver(robot: UrRobot, arm: str, timeout: float) -> ArmDriver:
    link = LinkSettings(robot.address, _SERIES[arm], timeout, Gripper.load("robotiq_2f85").T_flange_tcp)
    return ArmDriver(
        SessionSettings(link, JOINTS, np.full(6, 6.0), realtime=False), SILENCE, lambda s: None, lambda line: None
    )


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a robot and its driver: arguments of the robot, and the driver's arm and timeout."""
    running: list[UrRobot | ArmDriver] = []

    def make(*args: str, arm: str = "ur5e", timeout: float = TIMEOUT, ready: bool = True) -> tuple[UrRobot, ArmDriver]:
        robot = UrRobot(*args)
        driver = make_driver(robot, arm, timeout)
        running.extend((driver, robot))
        if ready:
            wait_for(lambda: not driver.problem, "the connection")
        return robot, driver

    yield make
    for one in running:
        one.close()


@pytest.fixture(scope="module")
def connected() -> Iterator[tuple[UrRobot, ArmDriver]]:
    """One robot and its driver for many tests."""
    with UrRobot() as robot:
        driver = make_driver(robot, "ur5e", TIMEOUT)
        yield robot, driver
        driver.close()


@pytest.fixture
def arm(connected: tuple[UrRobot, ArmDriver]) -> tuple[UrRobot, ArmDriver]:
    """The same, brought out of whatever the last test left it in."""
    robot, driver = connected
    for command in ("release", "unlock", "power_on", "remote"):
        robot.say(command)
    wait_for(lambda: not driver.problem or not driver.resume(), "the arm")
    wait_for(lambda: not driver.problem and still(robot), "the arm at rest")
    return robot, driver


def move(driver: ArmDriver, change: list[float], duration: float) -> Motion:
    """From rest to rest, from where the arm is."""
    q = driver.state().q
    u = np.linspace(0.0, 1.0, 30)[:, None]
    way = np.array(change)
    blend = 10 * u**3 - 15 * u**4 + 6 * u**5
    slope = (30 * u**2 - 60 * u**3 + 30 * u**4) / duration
    return driver.follow(Spline(u[:, 0] * duration, q + blend * way, slope * way), TOLERANCES)


def in_motion(driver: ArmDriver) -> Motion:
    """A long move that is well under way."""
    motion = move(driver, [1.0, 0, 0, 0, 0, 0], 6.0)
    wait_for(lambda: driver.update.state.qd[0] > 0.1, "the motion")
    return motion


def end(motion: Motion) -> tuple[ErrorCode, str]:
    assert motion.wait(90.0), "the motion does not end"
    return motion.ended.code, motion.ended.message


def still(robot: UrRobot) -> bool:
    return "still=True" in robot.say("state")


@pytest.mark.parametrize("arm", ["ur5", "ur5e"])
def test_a_trajectory_arrives(start: Start, arm: str) -> None:
    _, driver = start("--model", arm, arm=arm)
    before = driver.state().q
    motion = move(driver, [0.4, 0.0, -0.2, 0.0, 0.3, 0.0], 1.0)
    assert end(motion) == (ErrorCode.NONE, "")
    assert motion.ended.outcome is Outcome.SUCCEEDED
    np.testing.assert_allclose(driver.state().q - before, [0.4, 0.0, -0.2, 0.0, 0.3, 0.0], atol=0.03)


def test_the_speed_slider_stretches_a_trajectory(arm: Arm) -> None:
    robot, driver = arm
    robot.say("slider 0.5")
    try:
        wait_for(lambda: driver.state().speed_scaling == 0.5, "the slider")
        start = driver.state().timestamp
        assert end(move(driver, [0.3, 0, 0, 0, 0, 0], 1.0))[0] == ErrorCode.NONE
        assert driver.state().timestamp - start > 1.9
    finally:
        robot.say("slider 1.0")


def test_cancelling_brakes_and_ends_at_rest(arm: Arm) -> None:
    robot, driver = arm
    before = driver.state().q[0]
    motion = in_motion(driver)
    driver.cancel(motion)
    assert end(motion)[0] == ErrorCode.CANCELLED
    wait_for(lambda: still(robot), "the stop")
    assert 0.0 < driver.state().q[0] - before < 0.9


def test_a_second_motion_ends_both(arm: Arm) -> None:
    robot, driver = arm
    first = in_motion(driver)
    second = move(driver, [0.1, 0, 0, 0, 0, 0], 1.0)
    assert end(second)[0] == ErrorCode.BUSY
    assert end(first)[0] == ErrorCode.CANCELLED
    wait_for(lambda: still(robot), "the stop")


def test_a_target_is_followed_and_reached(arm: Arm) -> None:
    _, driver = arm
    target = driver.state().tcp.copy()
    target[:3, 3] += [0.03, 0.02, -0.05]
    motion = driver.servo(LIMITS, settle=0.1)
    while not motion.wait(0.02):
        driver.aim(target, time.monotonic())
    assert end(motion) == (ErrorCode.NONE, "")
    wait_for(lambda: np.allclose(driver.state().tcp[:3, 3], target[:3, 3], atol=1.5e-3), "the target")


def test_targets_that_cease_stop_the_arm(arm: Arm) -> None:
    robot, driver = arm
    target = driver.state().tcp.copy()
    target[0, 3] += 0.4
    motion = driver.servo(LIMITS, settle=0.0)
    driver.aim(target, time.monotonic())
    code, message = end(motion)
    assert code == ErrorCode.STALE_DATA
    assert "the arm stops" in message
    wait_for(lambda: still(robot), "the stop")
    assert abs(driver.state().tcp[0, 3] - target[0, 3]) > 0.05


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("protective_stop", "protective stop"),
        ("emergency_stop", "pull the emergency-stop button out"),
        ("safeguard_stop", "close the safeguard"),
        ("safety_stop 13", "three-position enabling device: hold it in the middle"),
        ("safety_stop 77", "safety mode UNKNOWN_77: see the pendant"),
        ("power_off", "robot mode is POWER_OFF"),
        ("local", "switch to local control"),
        ("stop_program", "control program on the robot has stopped"),
    ],
)
def test_a_stop_of_the_robot_ends_the_motion_and_says_why(arm: Arm, command: str, reason: str) -> None:
    robot, driver = arm
    motion = in_motion(driver)
    robot.say(command)
    code, message = end(motion)
    assert code == ErrorCode.CONTROLLER_ABORTED
    assert reason in message
    assert "~/recover" in message
    wait_for(lambda: still(robot), "the stop")
    wait_for(lambda: reason in driver.problem, "the driver's word")
    with pytest.raises(ExecutionError, match="~/recover"):
        driver.state()


def test_out_of_a_protective_stop_only_when_told(arm: Arm) -> None:
    robot, driver = arm
    motion = in_motion(driver)
    robot.say("protective_stop")
    end(motion)
    wait_for(lambda: driver.problem and still(robot), "the stop")
    where = robot.say("state").split("q=")[1]
    assert driver.resume() == ""
    wait_for(lambda: not driver.problem, "the way out")
    assert robot.say("state").split("q=")[1] == where, "the arm went on by itself"
    assert end(move(driver, [0.2, 0, 0, 0, 0, 0], 1.0))[0] == ErrorCode.NONE


def test_the_way_out_of_an_emergency_stop_leads_over_the_button(arm: Arm) -> None:
    robot, driver = arm
    robot.say("emergency_stop")
    wait_for(lambda: "emergency stop" in driver.problem, "the stop")
    assert "pull the emergency-stop button out" in driver.resume()
    robot.say("release")
    time.sleep(0.1)
    assert "POWER_OFF" in driver.resume()
    robot.say("power_on")
    time.sleep(0.1)
    assert driver.resume() == ""
    wait_for(lambda: not driver.problem, "the way out")


def test_local_control_is_named_when_resuming(arm: Arm) -> None:
    robot, driver = arm
    robot.say("local")
    wait_for(lambda: driver.problem, "the stop")
    assert "Remote Control" in driver.resume()
    robot.say("remote")
    assert driver.resume() == ""


@pytest.mark.parametrize("command", ["drop", "pull_cable"])
def test_a_lost_link_ends_the_motion_and_is_made_again(start: Start, command: str) -> None:
    robot, driver = start()
    motion = in_motion(driver)
    robot.say(command)
    code, message = end(motion)
    assert code == ErrorCode.CONTROLLER_UNAVAILABLE
    assert "link to the robot is lost" in message
    wait_for(lambda: still(robot), "the stop")
    robot.say("plug_cable")
    wait_for(lambda: not driver.problem, "the connection")
    where = robot.say("state").split("q=")[1]
    assert end(move(driver, [0.2, 0, 0, 0, 0, 0], 1.0))[0] == ErrorCode.NONE
    assert robot.say("state").split("q=")[1] != where


def test_a_robot_that_is_not_there_is_named_until_it_is(start: Start) -> None:
    robot, driver = start()
    robot.say("refuse")
    wait_for(lambda: "29999" in driver.problem, "the search")
    motion = driver.follow(Spline([0.0, 1.0], np.zeros((2, 6))), TOLERANCES)
    assert end(motion)[0] == ErrorCode.CONTROLLER_UNAVAILABLE
    robot.say("accept")
    wait_for(lambda: not driver.problem, "the connection")


@pytest.mark.parametrize(
    ("args", "arm", "reason"),
    [
        (("--version", "5.4.3.0"), "ur5e", "5.6 or newer"),
        (("--model", "ur5"), "ur5e", "an e-Series arm"),
        (("--model", "ur5e"), "ur5", "a CB3 arm"),
        (("--local",), "ur5e", "Remote Control"),
    ],
)
def test_a_robot_that_does_not_do_is_told_before_anything_moves(
    start: Start, args: tuple[str, ...], arm: str, reason: str
) -> None:
    _, driver = start(*args, arm=arm, ready=False)
    wait_for(lambda: reason in driver.problem, f"{reason}, instead of {driver.problem}")
    assert driver.connection is None


def test_two_masters_are_refused(start: Start) -> None:
    robot, driver = start()
    second = make_driver(robot, "ur5e", TIMEOUT)
    try:
        wait_for(lambda: "another program or fieldbus" in second.problem, "the refusal")
    finally:
        second.close()
    assert not driver.problem
