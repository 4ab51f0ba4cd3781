"""The driver against a stand-in for Flexiv's RDK, in both of its published forms: motions, stops, a gripper."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from arm_control.drivers.flexiv import rdk
from arm_control.drivers.flexiv.faults import RizonState, judge
from arm_control.drivers.flexiv.link import RizonSettings
from arm_control.drivers.streaming.driver import ArmDriver, Motion
from arm_control.drivers.streaming.gripper import ArmsGripper
from arm_control.drivers.streaming.servo import ServoLimits
from arm_control.drivers.streaming.session import SessionSettings
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError, ErrorCode
from grasp_core.follower import Outcome, Tolerances
from grasp_core.gripper import Gripper
from grasp_core.trajectory import Spline
from test.flexiv_robot import FAKE, FakeRizon
from test.ur_robot import wait_for

ARM, GRIPPER = ArmProfile.load("rizon4"), Gripper.load("flexiv_gripper")
TOLERANCES = Tolerances(np.full(7, 0.3), np.full(7, np.inf), np.full(7, 0.01), np.full(7, 0.05), 10.0)
LIMITS = ServoLimits(0.2, 1.0, 1.0, 4.0, np.full(3, -2.0), np.full(3, 2.0), 5.0, 0.002, 0.02)

Pair = tuple[FakeRizon, ArmDriver]


def start(rizon: FakeRizon, **changes: object) -> ArmDriver:
    given = {"arm": ARM, "gripper": GRIPPER, "gripper_name": "Flexiv-GN01", **changes}
    link = RizonSettings(
        "Rizon4-123456",
        1.0,
        urdf=ARM.urdf_path.read_text(encoding="utf-8"),
        T_flange_tcp=GRIPPER.T_flange_tcp,
        **given,
    )
    settings = SessionSettings(link, ARM.joints, np.array(ARM.max_acceleration), realtime=False)
    return ArmDriver(settings, 10.0, lambda state: None, lambda line: None)


@pytest.fixture(scope="module", params=[2, 1], ids=["v2", "v1"])
def connected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pytest.MonkeyPatch.context() as patch:
        rizon = FakeRizon(tmp_path_factory.mktemp("rizon"), patch, api=request.param)
        driver = start(rizon)
        driver.hand = ArmsGripper(driver)
        yield rizon, driver
        driver.close()


@pytest.fixture
def arm(connected: Pair) -> Pair:
    """Brought out of whatever the last test left it in."""
    rizon, driver = connected
    rizon.set(status="READY", connected=True, clears=True, object=0.0)
    wait_for(lambda: driver.connection and driver.update, "the connection")
    wait_for(lambda: not driver.problem or not driver.resume(), "the arm")
    wait_for(lambda: not driver.problem, "the arm free")
    return rizon, driver


def move(driver: ArmDriver, change: float, duration: float) -> Motion:
    """The first joint, from rest to rest."""
    u = np.linspace(0.0, 1.0, 30)[:, None]
    way = np.array([change, *[0.0] * 6])
    q = driver.update.state.q + (10 * u**3 - 15 * u**4 + 6 * u**5) * way
    velocity = (30 * u**2 - 60 * u**3 + 30 * u**4) * way / duration
    return driver.follow(Spline(u[:, 0] * duration, q, velocity), TOLERANCES)


def end(motion: Motion) -> tuple[ErrorCode, str]:
    assert motion.wait(60.0)
    return motion.ended.code, motion.ended.message


def test_a_trajectory_arrives(arm: Pair) -> None:
    _, driver = arm
    goal = driver.state().q[0] + 0.2
    motion = move(driver, 0.2, 1.0)
    assert end(motion) == (ErrorCode.NONE, "")
    assert motion.ended.outcome is Outcome.SUCCEEDED
    assert driver.state().q[0] == pytest.approx(goal, abs=0.012)


def test_cancelling_ends_at_rest(arm: Pair) -> None:
    _, driver = arm
    motion = move(driver, 0.5, 3.0)
    wait_for(lambda: abs(driver.state().qd[0]) > 0.05, "the motion")
    driver.cancel(motion)
    assert end(motion)[0] == ErrorCode.CANCELLED
    wait_for(lambda: abs(driver.state().qd).max() < 0.01, "the arm at rest")


def test_a_pose_is_followed_and_joints_are_taken_again(arm: Pair) -> None:
    rizon, driver = arm
    target = driver.state().tcp.copy()
    target[2, 3] += 0.03
    motion = driver.servo(LIMITS, settle=0.1)

    def seen() -> bool:
        driver.aim(target, time.monotonic())
        return motion.ended is not None

    wait_for(seen, "the target")
    assert end(motion) == (ErrorCode.NONE, "")
    wait_for(lambda: np.linalg.norm(driver.state().tcp[:3, 3] - target[:3, 3]) < 0.005, "the arm there")
    wait_for(lambda: rizon.said()[-1] == "SwitchMode NRT_JOINT_POSITION", "joints")
    assert end(move(driver, 0.05, 1.0))[0] == ErrorCode.NONE


@pytest.mark.parametrize(
    ("status", "reason"),
    [("ESTOP_NOT_RELEASED", "emergency stop"), ("IN_AUTO_MODE", "Auto (Remote)"), ("MINOR_FAULT", "minor fault")],
)
def test_a_stop_ends_the_motion_and_only_recovering_frees_it(arm: Pair, status: str, reason: str) -> None:
    rizon, driver = arm
    motion = move(driver, 0.4, 4.0)
    wait_for(lambda: abs(driver.state().qd[0]) > 0.02, "the motion")
    rizon.set(status=status)
    code, message = end(motion)
    assert code == ErrorCode.CONTROLLER_ABORTED
    assert reason in message
    wait_for(lambda: driver.problem, "the fault")
    if status != "MINOR_FAULT":
        assert reason in driver.resume()
        rizon.set(status="READY")
    wait_for(lambda: driver.update.state.status in ("READY", "MINOR_FAULT"), "the end of the stop")
    assert driver.problem  # it does not move by itself
    assert end(move(driver, 0.01, 1.0))[0] == ErrorCode.CONTROLLER_ABORTED
    assert driver.resume() == ""
    wait_for(lambda: not driver.problem, "the arm")
    assert end(move(driver, 0.05, 1.0))[0] == ErrorCode.NONE


def test_recovering_clears_enables_and_switches(arm: Pair) -> None:
    rizon, driver = arm
    rizon.set(status="CRITICAL_FAULT")
    wait_for(lambda: "critical fault" in driver.problem, "the fault")
    before = len(rizon.said())
    assert driver.resume() == ""
    assert rizon.said()[before:] == ["ClearFault", "Enable", "SwitchMode NRT_JOINT_POSITION"]


def test_a_fault_that_does_not_clear_is_told(arm: Pair) -> None:
    rizon, driver = arm
    rizon.set(status="MINOR_FAULT", clears=False)
    wait_for(lambda: driver.problem, "the fault")
    assert "minor fault" in driver.resume()


def test_a_lost_link_ends_the_motion_and_is_made_again(arm: Pair) -> None:
    rizon, driver = arm
    motion = move(driver, 0.4, 4.0)
    rizon.set(connected=False)
    code, message = end(motion)
    assert code == ErrorCode.CONTROLLER_UNAVAILABLE
    assert "link to the robot is lost" in message
    rizon.set(connected=True)
    wait_for(lambda: not driver.problem, "the connection")


def test_the_gripper_moves_and_stalls_on_an_object(arm: Pair) -> None:
    rizon, driver = arm
    hand: ArmsGripper = driver.hand
    wait_for(lambda: not hand.problem, "the gripper")
    rizon.set(object=0.03)
    move_ = hand.move(0.0, 500.0)
    assert move_.wait(20.0)
    assert (move_.reached, move_.stalled) == (False, True)
    assert hand.width() == pytest.approx(0.03, abs=0.002)
    assert "Move 0.0 0.1 80.0" in rizon.said()  # force within what it can
    rizon.set(object=0.0)
    move_ = hand.move(0.08, 0.0)
    assert move_.wait(20.0)
    assert move_.reached
    assert "Move 0.08 0.1 20.0" in rizon.said()


@pytest.mark.parametrize(
    ("wishes", "changes", "reason"),
    [
        ({"missing": True}, {}, "serial number right"),
        ({"status": "NOT_ENABLED"}, {}, "~/recover"),
        ({"busy": True}, {}, "another program"),
    ],
)
def test_what_hinders_it_from_the_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: dict, changes: dict, reason: str
) -> None:
    driver = start(FakeRizon(tmp_path, monkeypatch, **wishes), **changes)
    wait_for(lambda: driver.problem != "not connected yet", "an answer")
    problem = driver.problem
    driver.close()
    assert reason in problem


def test_another_arm_than_the_profiles_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urdf = ARM.urdf_path.read_text(encoding="utf-8")
    longer = urdf.replace('<origin xyz="0 0 0.155"', '<origin xyz="0 0 0.255"')
    assert longer != urdf
    rizon = FakeRizon(tmp_path, monkeypatch)
    link = RizonSettings("Rizon4-123456", 1.0, ARM, longer, np.eye(4))
    driver = ArmDriver(
        SessionSettings(link, ARM.joints, np.full(7, 4.0), False), 10.0, lambda state: None, lambda line: None
    )
    wait_for(lambda: driver.problem != "not connected yet", "an answer")
    problem = driver.problem
    driver.close()
    assert "100 mm" in problem
    assert "SwitchMode NRT_JOINT_POSITION" not in rizon.said()


def test_a_gripper_of_another_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = start(FakeRizon(tmp_path, monkeypatch, gripper="Other"))
    hand = ArmsGripper(driver)
    wait_for(lambda: "Flexiv Elements" in hand.problem, "an answer")
    move_ = hand.move(0.01, 0.0)
    assert move_.wait(20.0)
    driver.close()
    assert "Flexiv-GN01" in move_.failure


def test_without_the_rdk_it_says_which_pythons_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(FAKE)])
    with pytest.raises(ConfigError, match=r"3\.10, 3\.12 and 3\.14"):
        rdk.require()


STATES = "BOOTING ESTOP_NOT_RELEASED NOT_ENABLED RELEASING_BRAKE MINOR_FAULT CRITICAL_FAULT IN_REDUCED_STATE \
IN_RECOVERY_STATE IN_MANUAL_MODE IN_AUTO_MODE UNKNOWN SOMETHING_NEW"


@pytest.mark.parametrize("status", STATES.split())
def test_every_status_has_a_reason_and_a_way_out(status: str) -> None:
    state = RizonState(1.0, np.zeros(7), np.zeros(7), np.eye(4), np.zeros(7), 1.0, status, "IDLE")
    fault = judge(state, (rdk.JOINTS,))
    assert fault.code == ErrorCode.CONTROLLER_ABORTED
    assert ": " in str(fault)


def test_only_a_ready_robot_in_our_mode_may_be_moved() -> None:
    state = RizonState(1.0, np.zeros(7), np.zeros(7), np.eye(4), np.zeros(7), 1.0, "READY", rdk.JOINTS)
    assert judge(state, (rdk.JOINTS,)) is None
    assert "control mode NRT_JOINT_POSITION" in str(judge(state, (rdk.POSES,)))
