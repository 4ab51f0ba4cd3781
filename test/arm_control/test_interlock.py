"""Armed, paused, stopped; what must stay alive in motion; what no motion may leave. No ROS."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.cancel import Cancelled, CancelToken
from arm_control.guarded import Command, GuardedArm, GuardedGripper, Safety
from arm_control.interlock import Interlock
from arm_control.limits import SafetyLimits
from arm_control.planning import Trajectory
from arm_control.watchdog import MotionWatchdog, Vital
from grasp_core import se3
from grasp_core.cell import BoxModel
from grasp_core.errors import ErrorCode, ExecutionError, PlanningError
from test.arm_control.conftest import eventually
from test.arm_control.fakes import ARM, CELL, DOWN, GRIPPER, straight

HOME = np.array(ARM.poses["home"])


class Log:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        self.lines.append(line)


class SlowArm:
    """A driver that moves until told to stop."""

    def __init__(self) -> None:
        self.sent: list[Trajectory] = []
        self.finish = threading.Event()

    def execute(self, trajectory, cancel, settle, check) -> None:
        self.sent.append(trajectory)
        while not self.finish.is_set():
            cancel.sleep(0.005)
            check()

    def moving(self) -> bool:
        return False


def code_of(run) -> ErrorCode:
    with pytest.raises((ExecutionError, PlanningError)) as error:
        run()
    return error.value.code


def safety(armed: bool = True, dry_run: bool = False, vitals=(), speed: float = 1.0) -> Safety:
    limits = SafetyLimits(ARM, GRIPPER, CELL, speed)
    return Safety(Interlock(armed), limits, MotionWatchdog(vitals), dry_run, Log())


def high_up(_: np.ndarray) -> np.ndarray:
    return se3.make(DOWN, [0.5, 0.0, 0.3])


def run_in_thread(run) -> tuple[threading.Thread, list]:
    outcome: list = []

    def body() -> None:
        try:
            run()
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, outcome


# armed and disarmed


def test_nothing_is_sent_before_it_is_armed_and_after_it_was_disarmed():
    guards, driver = safety(armed=False), SlowArm()
    driver.finish.set()
    arm = GuardedArm(driver, high_up, guards, Command("test", CancelToken()), lambda _: None)
    path = straight(HOME, HOME + 0.1)
    assert code_of(lambda: arm.execute(path, CancelToken())) == ErrorCode.NOT_ARMED
    guards.interlock.arm()
    arm.execute(path, CancelToken())
    guards.interlock.disarm("it was stopped by somebody")
    with pytest.raises(ExecutionError, match="stopped by somebody"):
        arm.execute(path, CancelToken())
    assert len(driver.sent) == 1


def test_a_dry_run_shows_and_sends_nothing():
    guards, driver, shown = safety(dry_run=True), SlowArm(), []
    arm = GuardedArm(driver, high_up, guards, Command("test", CancelToken()), shown.extend)
    assert code_of(lambda: arm.execute(straight(HOME, HOME + 0.1), CancelToken())) == ErrorCode.DRY_RUN
    assert len(shown) == 1
    gripper = GuardedGripper(None, guards, Command("test", CancelToken()))
    assert code_of(lambda: gripper.move(0.04, CancelToken())) == ErrorCode.DRY_RUN
    assert not driver.sent


def test_a_command_is_written_down_with_its_cause():
    guards, driver = safety(speed=0.1), SlowArm()
    driver.finish.set()
    command = Command("move_to goal 1234abcd of /somebody", CancelToken(), stage="move")
    GuardedArm(driver, high_up, guards, command, lambda _: None).execute(straight(HOME, HOME + 0.1), CancelToken())
    (line,) = guards.log.lines
    for part in ("command: move: ", "speed 10%", "rad/s", "move_to goal 1234abcd of /somebody"):
        assert part in line


# pauses


def test_a_pause_stops_and_the_rest_is_planned_anew():
    guards, driver = safety(), SlowArm()
    waits: list[bool] = []
    command = Command("test", CancelToken(), on_pause=waits.append)
    arm = GuardedArm(driver, high_up, guards, command, lambda _: None)
    path, rest = straight(HOME, HOME + 0.1), straight(HOME + 0.05, HOME + 0.1)
    thread, outcome = run_in_thread(lambda: arm.execute(path, command.cancel, again=lambda: rest))
    eventually(lambda: driver.sent)
    assert guards.interlock.pause("a test")
    eventually(lambda: waits == [True])
    assert not guards.interlock.moving
    guards.interlock.resume()
    eventually(lambda: len(driver.sent) == 2)
    driver.finish.set()
    thread.join(5.0)
    assert outcome == [None]
    assert driver.sent[1] is rest
    assert waits == [True, False]


def test_what_cannot_be_planned_anew_ends_with_that_reason():
    guards, driver = safety(), SlowArm()
    arm = GuardedArm(driver, high_up, guards, Command("test", CancelToken()), lambda _: None)

    def blocked() -> Trajectory:
        raise PlanningError("something stands in the way", ErrorCode.NO_PATH)

    thread, outcome = run_in_thread(lambda: arm.execute(straight(HOME, HOME + 0.1), CancelToken(), again=blocked))
    eventually(lambda: driver.sent)
    guards.interlock.pause("a test")
    guards.interlock.resume()
    thread.join(5.0)
    assert outcome[0].code == ErrorCode.NO_PATH


def test_a_stop_ends_a_motion_that_is_paused():
    guards, driver, token = safety(), SlowArm(), CancelToken()
    arm = GuardedArm(driver, high_up, guards, Command("test", token), lambda _: None)
    thread, outcome = run_in_thread(lambda: arm.execute(straight(HOME, HOME + 0.1), token, again=lambda: None))
    eventually(lambda: driver.sent)
    guards.interlock.pause("a test")
    eventually(lambda: not guards.interlock.moving)
    token.cancel("stopped by a test", ErrorCode.STOPPED)
    guards.interlock.disarm("a test")
    thread.join(5.0)
    assert isinstance(outcome[0], Cancelled)
    assert outcome[0].code == ErrorCode.STOPPED
    assert len(driver.sent) == 1


def test_a_command_waits_while_paused():
    interlock = Interlock(True)
    assert not interlock.pause("a test")  # nothing moves
    begun = []

    def run() -> None:
        with interlock.motion(CancelToken()):
            begun.append(time.monotonic())

    thread, outcome = run_in_thread(run)
    thread.join(0.1)
    assert not begun
    interlock.resume()
    thread.join(5.0)
    assert (len(begun), outcome) == (1, [None])


def test_what_was_planned_before_a_wait_is_not_sent():
    guards, driver = safety(), SlowArm()
    driver.finish.set()
    command, plans = Command("test", CancelToken()), []

    def again() -> Trajectory:
        plans.append(straight(HOME, HOME + 0.01 * len(plans)))
        if len(plans) == 1:
            guards.interlock.pause("a test")  # while it is being planned
        return plans[-1]

    arm = GuardedArm(driver, high_up, guards, command, lambda _: None)
    guards.interlock.pause("a test")
    thread, outcome = run_in_thread(lambda: arm.execute(straight(HOME, HOME + 0.1), command.cancel, again=again))
    eventually(lambda: command.waited)
    guards.interlock.resume()
    eventually(lambda: plans and command.waited)
    guards.interlock.resume()
    thread.join(5.0)
    assert outcome == [None]
    assert driver.sent == [plans[1]]


def test_a_stroke_that_waited_asks_whether_it_is_still_right():
    guards = safety()
    moved = []
    gripper = SimpleNamespace(start=lambda *given: moved.append(given))

    def too_old() -> None:
        raise ExecutionError("the picture is old", ErrorCode.STALE_DATA)

    command = Command("test", CancelToken(), on_resume=too_old)
    guarded = GuardedGripper(gripper, guards, command)
    guards.interlock.pause("a test")
    thread, outcome = run_in_thread(lambda: guarded.start(0.02))
    eventually(lambda: command.waited)
    guards.interlock.resume()
    thread.join(5.0)
    assert outcome[0].code == ErrorCode.STALE_DATA
    assert not moved


def test_a_child_token_ends_with_its_parent_but_not_the_other_way_round():
    parent = CancelToken()
    with parent.child() as first:
        first.cancel("alone")
        assert not parent.cancelled
    with parent.child() as second:
        parent.cancel("all", ErrorCode.STOPPED)
        with pytest.raises(Cancelled) as error:
            second.check()
        assert error.value.code == ErrorCode.STOPPED
    with parent.child() as late:
        assert late.cancelled


# what must stay alive


def test_what_was_alive_must_stay_alive_and_what_was_not_is_not_waited_for():
    age = {"camera": 0.1, "tf": float("inf")}
    vitals = [
        Vital("/cloud", lambda: age["camera"], 1.0, ErrorCode.STALE_DATA, "look at the camera"),
        Vital("/tf", lambda: age["tf"], 1.0, ErrorCode.NO_TF, "start the driver"),
    ]
    check = MotionWatchdog(vitals).watch().begin()
    check()
    age["camera"] = 1.5
    with pytest.raises(ExecutionError, match=r"nothing from /cloud for 1.5 s .*look at the camera") as error:
        check()
    assert error.value.code == ErrorCode.STALE_DATA


def test_nothing_moves_without_what_is_required():
    guard = Vital("pick_node/heartbeat", lambda: 3.0, 0.5, ErrorCode.STOPPED, "start pick_node", required=True)
    with pytest.raises(ExecutionError, match="no motion without pick_node/heartbeat"):
        MotionWatchdog([guard]).watch().begin()


def test_what_lived_when_the_goal_began_must_live_when_it_moves():
    age = {"camera": 0.1, "tf": float("inf")}
    camera = Vital("/looked", lambda: age["camera"], 1.0, ErrorCode.STALE_DATA, "look at the camera")
    tf = Vital("/tf", lambda: age["tf"], 1.0, ErrorCode.NO_TF, "start the driver")
    driver = SlowArm()
    driver.finish.set()
    guards = safety(vitals=[camera, tf])
    arm = GuardedArm(driver, high_up, guards, Command("test", CancelToken()), lambda _: None)
    path = straight(HOME, HOME + 0.1)
    arm.execute(path, CancelToken())
    age["camera"] = 1.5  # between two motions of the goal
    with pytest.raises(ExecutionError, match=r"no motion without /looked, .*: look at the camera") as error:
        arm.execute(path, CancelToken())
    assert error.value.code == ErrorCode.STALE_DATA
    age.update(camera=0.1, tf=0.1)
    arm.execute(path, CancelToken())
    age["tf"] = 1.5  # it came later, and is watched since
    assert code_of(lambda: arm.execute(path, CancelToken())) == ErrorCode.NO_TF
    assert len(driver.sent) == 2


def test_what_a_grasp_needs_other_goals_do_without():
    camera = Vital("/looked", lambda: 9.0, 1.0, ErrorCode.STALE_DATA, "look at the camera", to_grasp=True)
    watchdog = MotionWatchdog([camera])
    watchdog.watch().begin()()
    assert code_of(watchdog.watch(grasp=True).begin) == ErrorCode.STALE_DATA


# limits


def limits(speed: float = 1.0, arm=ARM, **changes) -> SafetyLimits:
    cell = CELL.model_copy(update={"safety": CELL.safety.model_copy(update=changes)})
    return SafetyLimits(arm, GRIPPER, cell, speed)


def line_to(low: list[float], high: list[float]):
    """Joint 0 from 0 to 1 takes the fingertips from one point to another."""
    return lambda q: se3.make(DOWN, np.array(low) + (np.array(high) - np.array(low)) * q[0])


UNIT = straight(np.zeros(6), np.eye(6)[0], seconds=4.0)


def test_a_motion_out_of_the_workspace_is_refused_and_one_back_into_it_is_not():
    box = BoxModel(min=(0.0, -1.0, 0.0), max=(1.0, 1.0, 1.0))
    inside, outside = [0.5, 0.0, 0.3], [1.2, 0.0, 0.3]
    with pytest.raises(PlanningError, match=r"0\.200 m beyond safety\.workspace of cell bin_picking; nothing was sent"):
        limits(workspace=box).checked(UNIT, line_to(inside, outside))
    limits(workspace=box).checked(UNIT, line_to(outside, inside))


def test_fingertips_keep_off_the_support():
    with pytest.raises(PlanningError, match=r"safety\.min_height"):
        limits(workspace=None, min_height=0.01).checked(UNIT, line_to([0.0, -0.4, 0.3], [0.0, -0.4, 0.005]))
    limits(workspace=None, min_height=0.004).checked(UNIT, line_to([0.0, -0.4, 0.3], [0.0, -0.4, 0.005]))


def test_joints_keep_the_limits_of_the_profile():
    narrow = ARM.model_copy(update={"position_limits": ((-0.5, 0.5), *(((-6.2, 6.2),) * 5))})
    with pytest.raises(PlanningError, match=r"shoulder_pan_joint would be at .* \(position_limits\)"):
        limits(arm=narrow).checked(UNIT, high_up)


@settings(max_examples=30, deadline=None)
@given(seconds=st.floats(0.05, 5.0), speed=st.floats(0.02, 1.0), reach=st.floats(0.05, 0.8))
def test_nothing_is_faster_than_the_speed_allows(seconds: float, speed: float, reach: float):
    goal = np.zeros(6)
    goal[0] = reach
    path = straight(np.zeros(6), goal, seconds)
    slowed = limits(speed, workspace=None).checked(path, line_to([0.5, 0.0, 0.3], [0.5, 0.5, 0.3]))
    assert (np.abs(slowed.qd) <= np.array(ARM.max_velocity) * speed * 1.002).all()
    np.testing.assert_allclose(slowed.q, path.q)
    factor = slowed.times[-1] / path.times[-1]
    assert factor >= 1.0
    np.testing.assert_allclose(slowed.qd * factor, path.qd, atol=1e-9)
    np.testing.assert_allclose(slowed.qdd * factor**2, path.qdd, atol=1e-9)


def test_grasps_outside_of_the_approach_cone_or_the_workspace_are_left_out():
    tilted = se3.rpy_matrix(np.pi - np.deg2rad(80.0), 0.0, 0.0)
    R = np.stack([DOWN, tilted, DOWN])
    t = np.array([[0.5, 0.0, 0.05], [0.5, 0.0, 0.2], [3.0, 0.0, 0.05]])
    assert limits(max_tilt=np.deg2rad(75.0)).allowed(R, t).tolist() == [True, False, False]
    assert limits(max_tilt=np.deg2rad(85.0)).allowed(R, t).tolist() == [True, True, False]


def test_the_planner_is_asked_for_the_allowed_part_of_the_speed():
    assert limits(0.1).scaling(None) == pytest.approx(0.1 * ARM.velocity_scaling)
    assert limits(0.1).scaling(0.5) == 0.1
    assert limits(0.1).scaling(0.1) == 0.1  # `seegrasp calibrate --auto` asks for a tenth: not a tenth of a tenth
    assert limits(0.5).scaling(0.1) == 0.1
    assert replace(limits(), speed=1.0).scaling(1.0) == 1.0
