"""The doctor's look at what runs: camera streams, transforms, joint states and actions of a cell."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell, MountedCamera
from grasp_core.errors import FrameError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.tf_listener import TfListener
from seegrasp.doctor import Finding, Status, not_running, ok, problem, table
from seegrasp.doctor_calibration import check_calibration
from seegrasp.doctor_camera import Seen, check_alignment

GRIPPER_ACTIONS = {"gripper_command": GripperCommand, "parallel_gripper_command": ParallelGripperCommand}
STREAMS = {"depth": Image, "color": Image, "depth_info": CameraInfo, "color_info": CameraInfo}
WINDOW = 1.5  # s that are looked back at while watching
_STEP = 0.25  # s between looks
_DEAD = 1.5  # s without /diagnostics, which come once a second
START = "start the camera and arm drivers, or `seegrasp up sim`; ROS_DOMAIN_ID must be theirs"


def check_running_nodes(cell_name: str, seconds: float) -> list[Finding]:
    """Listen for `seconds` to what the cell's profile names, and to what the nodes tell of themselves."""
    with _looking(cell_name) as (look, listen):
        listen(seconds)
        return look.findings(seconds)


def watch(cell_name: str, tell: Callable[[str], None], ended: Callable[[], bool]) -> None:
    """Tell of every finding, and then of every one that changes, until `ended()`.

    What dies is told of within 2 s: it counts as silent when nothing was heard of it for `WINDOW` s.
    """
    told: dict[str, Status] = {}
    with _looking(cell_name) as (look, listen):
        listen(WINDOW)
        while not ended():
            for finding in look.findings(WINDOW):
                if told.get(finding.check) is not finding.status:
                    told[finding.check] = finding.status
                    tell(f"{time.strftime('%H:%M:%S')}  {table([finding], colour=False)}")
            listen(_STEP)


@contextmanager
def _looking(cell_name: str) -> Iterator[tuple[_Look, Callable[[float], None]]]:
    """A look at a cell, and what listens for some seconds."""
    cell = Cell.load(cell_name)
    context = Context()
    context.init()
    node = Node("seegrasp_doctor", context=context, enable_rosout=False, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def listen(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)

    try:
        yield _Look(node, cell), listen
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


class _Look:
    """Subscriptions that count, and what they mean."""

    def __init__(self, node: Node, cell: Cell) -> None:
        self.node, self.cell = node, cell
        self.arm, self.gripper = ArmProfile.load(cell.arm), Gripper.load(cell.gripper)
        self.heard: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=5000))  # topic -> when, steady
        self.statuses: dict[str, tuple[float, DiagnosticStatus]] = {}  # of our nodes, by name
        self.joints: dict[tuple[str, str], float] = {}  # topic and joint -> when last, steady
        self.frames: dict[str, str] = {}  # camera namespace -> frame_id of its depth images
        self.pictures: dict[str, dict[str, Seen]] = defaultdict(dict)  # camera namespace -> kind -> what came last
        for camera in cell.cameras:
            for kind, message_type in STREAMS.items():
                self._count(camera, kind, message_type)
        self.arm_topic = self.arm.driver.joint_states
        self.gripper_topic = self.gripper.driver.joint_states or self.arm_topic
        for topic in {self.arm_topic, self.gripper_topic}:
            node.create_subscription(JointState, topic, partial(self._on_joints, topic), qos.SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.tf = TfListener(node)
        arm, hand = self.arm.driver.trajectory_action, self.gripper.driver
        self.actions = {
            "arm action": (ActionClient(node, FollowJointTrajectory, arm), arm),
            "gripper action": (ActionClient(node, GRIPPER_ACTIONS[hand.type], hand.action), hand.action),
        }

    def _count(self, camera: MountedCamera, kind: str, message_type: type) -> None:
        topic = camera.topic(kind)

        def on_message(message) -> None:
            self.heard[topic].append(time.monotonic())
            seen = Seen(message.width, message.height, message.header.frame_id)
            self.pictures[camera.namespace][kind] = seen
            if kind == "depth":
                self.frames[camera.namespace] = seen.frame

        self.node.create_subscription(message_type, topic, on_message, qos.SENSOR)

    def _on_joints(self, topic: str, message: JointState) -> None:
        now = time.monotonic()
        self.joints.update({(topic, joint): now for joint in message.name})
        if set(self.arm.joints) & set(message.name):  # grippers may publish on the arm's topic
            self.heard[topic].append(now)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        self.statuses.update({status.name: (now, status) for status in message.status if ": " in status.name})

    def _rate(self, topic: str, seconds: float) -> float:
        since = time.monotonic() - seconds
        return sum(t >= since for t in self.heard[topic]) / seconds

    def findings(self, seconds: float) -> list[Finding]:
        found = []
        for camera in self.cell.cameras:
            found += [self._camera(camera, seconds), self._chain(camera)]
            found += check_alignment(camera.namespace, self.pictures[camera.namespace])
            if camera.hand_eye is not None:
                found.append(self._calibration(camera))
        found += [self._joint_states(seconds), *(self._action(check) for check in self.actions)]
        return found + [self._node(name) for name in sorted(self.statuses)]

    def _camera(self, camera: MountedCamera, seconds: float) -> Finding:
        name = f"camera {camera.namespace}"
        rates = {kind: self._rate(camera.topic(kind), seconds) for kind in STREAMS}
        if not any(rates.values()):
            if any(self.node.count_publishers(camera.topic(kind)) for kind in STREAMS):
                return problem(
                    name,
                    f"{camera.topic('depth')} has a publisher, but no message came in {seconds:g} s",
                    "look at the driver's log; with the transport check above a problem, mend that first",
                )
            return not_running(name, f"no publisher of {camera.topic('depth')}", START)
        text = ", ".join(f"{kind} {rate:.1f} Hz" for kind, rate in rates.items())
        silent = [camera.topic(kind) for kind, rate in rates.items() if not rate]
        if silent:
            return problem(name, f"{text}; silent: {', '.join(silent)}", "realsense-ros: align_depth.enable:=true")
        return ok(name, text)

    def _chain(self, camera: MountedCamera) -> Finding:
        name = f"tf {camera.namespace}"
        frame = self.frames.get(camera.namespace, camera.frame)
        try:
            T = self.tf.lookup(self.cell.base_frame, frame)
        except FrameError as error:
            if self.tf.age_s is None:
                return not_running(name, f"nothing on /tf, so no {frame}", START)
            return problem(name, str(error), "publish the hand-eye result: cameras of the cell profile, /tf_static")
        x, y, z = T[:3, 3]
        return ok(name, f"{self.cell.base_frame} -> {frame}: at ({x:.3f}, {y:.3f}, {z:.3f}) m")

    def _calibration(self, camera: MountedCamera) -> Finding:
        try:
            T = self.tf.lookup(camera.parent, self.frames.get(camera.namespace, camera.frame))
        except FrameError:  # _chain says so
            T = None
        return check_calibration(camera, T)

    def _joint_states(self, seconds: float) -> Finding:
        name, since = "joint states", time.monotonic() - seconds
        rate = self._rate(self.arm_topic, seconds)
        if not rate:
            return not_running(
                name, f"nothing of the arm on {self.arm_topic}: its driver is not there, or hangs", START
            )
        wanted = [
            *((self.arm_topic, joint) for joint in self.arm.joints),
            (self.gripper_topic, self.gripper.joint.name),
        ]
        missing: dict[str, list[str]] = defaultdict(list)
        for topic, joint in wanted:
            if self.joints.get((topic, joint), 0.0) < since:
                missing[topic].append(joint)
        if missing:
            text = "; ".join(f"{topic} lacks {', '.join(joints)}" for topic, joints in missing.items())
            return problem(
                name, text, "is the gripper's driver running? the profiles of arm and gripper name the joints"
            )
        return ok(name, f"{self.arm_topic} at {rate:.0f} Hz, all joints of arm and gripper")

    def _action(self, check: str) -> Finding:
        client, name = self.actions[check]
        if client.server_is_ready():
            return ok(check, name)
        return not_running(check, f"no server of {name}", START)

    def _node(self, name: str) -> Finding:
        """What a node told of itself last: a problem where it is an error, or nothing has come since."""
        when, status = self.statuses[name]
        age = time.monotonic() - when
        if age > _DEAD:
            what = f"nothing from {name.split(':')[0]} on /diagnostics for {age:.1f} s"
            return problem(name, what, "has it ended? its log is in out/up/…; start it again")
        if status.level in (DiagnosticStatus.ERROR, DiagnosticStatus.STALE):
            return problem(name, status.message, "docs/TROUBLESHOOTING.md")
        return ok(name, status.message)
