"""The Robotiq gripper's socket: openings, stalls, faults, and what happens when it goes away."""

import time
from collections.abc import Callable, Iterator

import pytest

from arm_control.drivers.ur.robotiq import RobotiqGripper
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_core.gripper import Gripper
from grasp_sim.ur_controller.controller import Controller, ControllerThread
from grasp_sim.ur_controller.models import find_model
from test.ur_robot import own_address, wait_for

MODEL = Gripper.load("robotiq_2f85")


@pytest.fixture
def controller() -> Iterator[Controller]:
    running = ControllerThread(Controller(find_model("ur5e"), own_address()))
    yield running.controller
    running.close()


@pytest.fixture
def start(controller: Controller) -> Iterator[Callable[..., RobotiqGripper]]:
    """Connects to the gripper, which nobody has activated."""
    made: list[RobotiqGripper] = []

    def connect(**options: bool) -> RobotiqGripper:
        made.append(RobotiqGripper(controller.address, MODEL, lambda line: None, **options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def gripper(start: Callable[..., RobotiqGripper]) -> RobotiqGripper:
    """An active one."""
    made = start(init=True)
    wait_for(lambda: not made.problem, "the gripper")
    return made


def test_it_goes_where_it_is_told(gripper: RobotiqGripper) -> None:
    assert gripper.width() == pytest.approx(MODEL.max_width)
    for width in (0.03, 0.06, 0.0, MODEL.max_width):
        move = gripper.move(width, 40.0)
        assert move.wait(10.0)
        assert (move.reached, move.stalled, move.failure) == (True, False, "")
        assert gripper.width() == pytest.approx(width, abs=0.0005)


def test_it_stalls_on_an_object_and_holds_it(controller: Controller, gripper: RobotiqGripper) -> None:
    controller.gripper.fingers.blocked_at = 0.5
    move = gripper.move(0.0, 40.0)
    assert move.wait(10.0)
    assert (move.reached, move.stalled) == (False, True)
    assert gripper.width() == pytest.approx(MODEL.max_width / 2, abs=0.001)


def test_a_newer_command_replaces_the_older(gripper: RobotiqGripper) -> None:
    first = gripper.move(0.0, 40.0)
    second = gripper.move(0.07, 40.0)
    assert second.wait(10.0)
    assert second.reached
    assert first.wait(10.0)
    assert "replaced" in first.failure


def test_a_fault_ends_the_command_and_is_named(controller: Controller, gripper: RobotiqGripper) -> None:
    controller.gripper.fault = 8
    wait_for(lambda: "too hot" in gripper.problem, "the fault")
    move = gripper.move(0.02, 40.0)
    assert move.wait(10.0)
    assert "too hot" in move.failure
    with pytest.raises(ExecutionError, match="gripper fault 8") as caught:
        gripper.width()
    assert caught.value.code == ErrorCode.GRIPPER_UNAVAILABLE
    controller.gripper.fault = 0
    wait_for(lambda: not gripper.problem, "the end of the fault")


def test_without_a_gripper_it_says_what_to_look_at(controller: Controller, gripper: RobotiqGripper) -> None:
    controller.refuse_links(True)
    controller.drop_links()
    wait_for(lambda: "Robotiq URCap" in gripper.problem, "the loss")
    controller.refuse_links(False)
    wait_for(lambda: not gripper.problem, "the connection")


def test_it_is_activated_when_somebody_asks_for_it_and_never_before(
    controller: Controller, start: Callable[..., RobotiqGripper]
) -> None:
    gripper = start()
    wait_for(lambda: "not activated" in gripper.problem, "the gripper's word")
    assert "~/recover" in gripper.problem
    move = gripper.move(0.02, 40.0)
    assert move.wait(10.0)
    assert "not activated" in move.failure
    time.sleep(0.3)  # many of its periods
    assert not controller.gripper.active
    assert gripper.recover() == ""
    assert controller.gripper.active
    move = gripper.move(0.02, 40.0)
    assert move.wait(10.0)
    assert move.reached


@pytest.mark.parametrize("trouble", ["power", "network"])
def test_what_it_holds_is_not_dropped_when_it_comes_back(
    controller: Controller, gripper: RobotiqGripper, trouble: str
) -> None:
    assert gripper.recover() == ""  # active already: nothing to do
    if trouble == "network":
        controller.refuse_links(True)
        controller.drop_links()
        wait_for(lambda: "Robotiq URCap" in gripper.problem, "the loss")
    controller.gripper.lose_power()
    controller.refuse_links(False)
    wait_for(lambda: "not activated" in gripper.problem, "the return")
    time.sleep(0.3)
    assert not controller.gripper.active
    with pytest.raises(ExecutionError, match="not activated"):
        gripper.width()


def test_a_fault_that_needs_an_activation_waits_for_it(controller: Controller, gripper: RobotiqGripper) -> None:
    controller.gripper.fault = 14
    wait_for(lambda: "over-current" in gripper.problem, "the fault")
    time.sleep(0.3)
    assert controller.gripper.fault == 14
    assert gripper.recover() == ""
    assert gripper.problem == ""


def test_an_activation_that_does_not_succeed_says_so(
    controller: Controller, start: Callable[..., RobotiqGripper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arm_control.drivers.ur.robotiq._ACTIVATION", 0.2)
    monkeypatch.setattr(type(controller.gripper), "active", False)
    gripper = start()
    wait_for(lambda: "not activated" in gripper.problem, "the gripper's word")
    assert "does not become active" in gripper.recover()
