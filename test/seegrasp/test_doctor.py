"""The doctor: what it finds, what it advises, and its exit code."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from control_msgs.action import GripperCommand
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionServer
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper
from grasp_ros import qos
from seegrasp import doctor, doctor_live, doctor_machine, loopback
from seegrasp.doctor import Status, not_running, ok, problem


def test_exit_code() -> None:
    rows = [ok("a", "fine"), not_running("b", "no publisher", "start it")]
    assert doctor.exit_code(rows, live=False) == 0
    assert doctor.exit_code(rows, live=True) == 1
    assert doctor.exit_code([*rows, problem("c", "broken", "mend it")], live=False) == 1


def test_table_says_what_to_do_once() -> None:
    text = doctor.table(
        [problem("a", "x", "mend"), not_running("bb", "y", "start"), not_running("c", "z", "start")], False
    )
    assert text.splitlines()[0] == "a   problem      x"
    assert text.count("-> mend") == 1
    assert text.count("-> start") == 1


def test_a_check_that_raises_is_a_finding() -> None:
    def check_moon() -> list:
        raise ValueError("eclipse")

    (found,) = doctor.run([check_moon])
    assert (found.check, found.status, found.what) == ("moon", Status.PROBLEM, "ValueError: eclipse")


@pytest.mark.parametrize(
    "check", [c for c in doctor_machine.CHECKS if c.__name__ != "check_dds_transport"], ids=lambda c: c.__name__
)
def test_this_installation_is_sound(check) -> None:
    assert {f.status for f in check()} == {Status.OK}


def test_missing_interfaces_and_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "INTERFACES", ("no_such_msgs.msg",))
    monkeypatch.setattr(doctor_machine, "LIBRARIES", ("no_such_library",))
    for check in (doctor_machine.check_interfaces, doctor_machine.check_libraries):
        (found,) = check()
        assert found.status is Status.PROBLEM
        assert "no_such" in found.what
        assert "make setup" in found.todo


def test_environment_that_was_not_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    assert doctor_machine.check_rendering()[0].status is Status.PROBLEM
    assert "config/fastdds.xml" in doctor_machine.check_dds_settings()[0].todo
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/no/such.xml")
    assert "does not exist" in doctor_machine.check_dds_settings()[0].what


def test_a_broken_profile_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "grippers").mkdir()
    (tmp_path / "grippers" / "mine.yaml").write_text("name: mine\nfingers: 3\n")
    monkeypatch.setattr(doctor_machine, "config_dir", lambda: tmp_path)
    monkeypatch.setattr("grasp_core.config.config_dir", lambda: tmp_path)
    found = {f.check: f for f in doctor_machine.check_profiles()}
    assert "fingers" in found["config/grippers"].what
    assert found["config/arms"].what == f"no arms in {tmp_path}"


def test_a_megabyte_gets_from_process_to_process(ros_domain: int) -> None:
    result = loopback.measure(timeout_s=30.0)
    assert result.received == loopback.WANTED


def test_no_transport_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "measure", lambda: loopback.Loopback(0, float("nan"), 0.0))
    (found,) = doctor_machine.check_dds_transport()
    assert "0 of 10 messages" in found.what
    assert "/dev/shm" in found.todo


def test_nothing_running_is_no_problem(ros_domain: int) -> None:
    found = doctor_live.check_running_nodes("bin_picking", 0.5)
    assert {f.status for f in found} == {Status.NOT_RUNNING}


@pytest.fixture
def camera_without_colour(ros_domain: int) -> Iterator[None]:
    camera = Cell.load("bin_picking").cameras[0]
    context = rclpy.Context()
    context.init()
    node = Node("camera", context=context)
    depth = node.create_publisher(Image, camera.topic("depth"), qos.SENSOR)
    info = node.create_publisher(CameraInfo, camera.topic("depth_info"), qos.SENSOR)
    node.create_publisher(Image, camera.topic("color"), qos.SENSOR)

    def publish() -> None:
        message = Image()
        message.header.frame_id = "somewhere"
        depth.publish(message)
        info.publish(CameraInfo())

    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    node.create_timer(0.05, publish)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.usefixtures("camera_without_colour")
def test_a_silent_stream_is_a_problem() -> None:
    found = {f.check: f for f in doctor_live.check_running_nodes("bin_picking", 4.0)}
    camera = found["camera camera"]
    assert camera.status is Status.PROBLEM
    assert "color/image_raw" in camera.what
    assert "depth_info 0.0 Hz" not in camera.what
    assert found["tf camera"].status is Status.NOT_RUNNING
    assert "somewhere" in found["tf camera"].what


class Robot:
    """Joint states, an action server of the gripper and a diagnostic status, as long as `alive`."""

    def __init__(self) -> None:
        cell = Cell.load("bin_picking")
        arm, gripper = ArmProfile.load(cell.arm), Gripper.load(cell.gripper)
        self.alive, self.level = True, DiagnosticStatus.OK
        self.joints = [*arm.joints, gripper.joint.name]
        self.context = rclpy.Context()
        self.context.init()
        self.node = Node("robot", context=self.context)
        self._publisher = self.node.create_publisher(JointState, arm.driver.joint_states, qos.RELIABLE)
        self._diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._action = ActionServer(self.node, GripperCommand, gripper.driver.action, lambda handle: None)
        self.node.create_timer(0.05, self._publish)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _publish(self) -> None:
        if self.alive:
            self._publisher.publish(JointState(name=self.joints))
            status = DiagnosticStatus(name="camera_node: cloud", level=self.level, message="nothing on /depth")
            self._diagnostics.publish(DiagnosticArray(status=[status]))

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def robot(ros_domain: int) -> Iterator[Robot]:
    made = Robot()
    yield made
    made.close()


def test_watching_tells_what_dies_and_what_returns(robot: Robot) -> None:
    lines: list[str] = []
    deadline = time.monotonic() + 60.0
    good, bad = DiagnosticStatus.OK, DiagnosticStatus.ERROR
    everything, finger = robot.joints, robot.joints[-1]
    phases = [  # what the robot is set to, and what is told then
        ({"alive": True, "level": good}, {"joint states  ok", "camera_node: cloud  ok"}),
        ({"level": bad}, {"camera_node: cloud  problem      nothing on /depth"}),
        ({"joints": [finger]}, {"joint states  not running  nothing of the arm on /joint_states"}),
        ({"joints": everything[:-1]}, {f"joint states  problem      /joint_states lacks {finger}"}),
        ({"alive": False}, {"joint states  not running  nothing of the arm on /joint_states"}),
        ({"alive": True, "level": good, "joints": everything}, {"joint states  ok", "camera_node: cloud  ok"}),
    ]

    def ended() -> bool:
        if phases and all(any(wanted in line for line in lines) for wanted in phases[0][1]):
            del phases[0]
            lines.clear()
            vars(robot).update(phases[0][0] if phases else {})
        return not phases or time.monotonic() > deadline

    doctor_live.watch("bin_picking", lines.append, ended)
    assert not phases, f"never told: {phases[0][1]}; told since: {lines}"


@pytest.mark.usefixtures("robot")
def test_watching_tells_once_that_one_action_is_there_and_the_other_is_not() -> None:
    lines: list[str] = []
    looks, deadline = itertools.count(1), time.monotonic() + 60.0

    def ended() -> bool:
        found = any("gripper action  ok" in line for line in lines)
        return (next(looks) > 12 and found) or time.monotonic() > deadline

    doctor_live.watch("bin_picking", lines.append, ended)
    told = [line.split("  ", 1)[1] for line in lines]
    assert sum(line.startswith("arm action  not running") for line in told) == 1
    assert sum(line.startswith("gripper action  ok") for line in told) == 1


def test_offline_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(doctor_machine, "CHECKS", (doctor_machine.check_python,))
    assert doctor.main(["--offline"]) == 0
    assert "no problem found" in capsys.readouterr().out
