"""A robot of fakes behind the driver seams: real action servers and topics over DDS, with faults to switch on."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from seegrasp_msgs.action import DetectGrasps
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Header, String

from arm_control.cancel import wait_future
from arm_control.planning import Exemption, GraspPlan, GraspSearch, HeldObject, Rejection, Trajectory
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.cloud import Cloud
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import cloud_to_msg, grasps_to_msg, ns_to_stamp, stamp_to_ns

ARM = ArmProfile.load("ur5e")
GRIPPER = Gripper.load("robotiq_2f85")
CELL = Cell.load("bin_picking")
TOP = np.array([0.50, 0.0, 0.046])  # centre of the top of the box in the fake cloud, m
HELD = HeldObject(centre=np.array([0.0, 0.0, 0.0]), size=np.array([0.05, 0.05, 0.05]))
DOWN = se3.rpy_matrix(np.pi, 0.0, np.pi / 2)


class Spinner:
    """Spins nodes in a thread."""

    def __init__(self, context: Context, *nodes: Node, threads: int = 1) -> None:
        make = MultiThreadedExecutor if threads > 1 else SingleThreadedExecutor
        options = {"num_threads": threads} if threads > 1 else {}
        self._executor = make(context=context, **options)
        for node in nodes:
            self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def stop(self) -> None:
        self._executor.shutdown(timeout_sec=3.0)
        self._thread.join(3.0)


class FakeRobot(Node):
    """Arm controller, gripper and joint states. Trajectories run `speed` times as fast as they should.

    Switches: `arm_mode` follow | abort | reject | silent (accepts, never ends) | stuck (arrives nowhere, says success);
    `gripper_mode` move | never | abort; `object_width` m where closing stalls, None: nothing between the fingers;
    `publish` False stops the joint states; `nan` puts NaN in them.
    """

    def __init__(self, context: Context, speed: float = 8.0, parallel: bool = False) -> None:
        super().__init__("fake_robot", context=context)
        self.speed = speed
        self.reset()
        self._joint_publisher = self.create_publisher(JointState, "/joint_states", 10)
        self._description = self.create_publisher(String, "/robot_description", qos.LATCHED)
        self.create_timer(0.01, self._publish, callback_group=MutuallyExclusiveCallbackGroup())
        group = ReentrantCallbackGroup()
        self._arm = ActionServer(
            self,
            FollowJointTrajectory,
            ARM.driver.trajectory_action,
            self._follow,
            callback_group=group,
            goal_callback=lambda _: GoalResponse.REJECT if self.arm_mode == "reject" else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self._gripper = ActionServer(
            self,
            ParallelGripperCommand if parallel else GripperCommand,
            GRIPPER.driver.action,
            self._grip_parallel if parallel else self._grip,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def reset(self) -> None:
        self.q = np.array(CELL.poses["observe"])
        self.qd = np.zeros(6)
        self.width = GRIPPER.max_width
        self.arm_mode, self.gripper_mode = "follow", "move"
        self.object_width: float | None = 0.04
        self.publish, self.nan = True, False
        self.gripping = False
        self.on_release = lambda: None
        self.trajectories: list[FollowJointTrajectory.Goal] = []
        self.cancelled = 0

    def describe(self) -> None:
        self._description.publish(String(data=ARM.urdf_path.read_text()))

    def _publish(self) -> None:
        if not self.publish:
            return
        msg = JointState(name=[*ARM.joints, GRIPPER.joint.name])
        msg.header.stamp = self.get_clock().now().to_msg()
        q = np.append(self.q, GRIPPER.joint_from_width(self.width))
        msg.position = (q * np.nan if self.nan else q).tolist()
        msg.velocity = [*self.qd.tolist(), 0.0]
        self._joint_publisher.publish(msg)

    def _follow(self, handle) -> FollowJointTrajectory.Result:
        result = FollowJointTrajectory.Result()
        goal = handle.request.trajectory
        self.trajectories.append(handle.request)
        times = np.array([p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in goal.points])
        points = np.array([p.positions for p in goal.points])
        started = time.monotonic()
        mode = self.arm_mode
        while True:
            t = (time.monotonic() - started) * self.speed
            if handle.is_cancel_requested:
                self.qd = np.zeros(6)
                self.cancelled += 1
                handle.canceled()
                return result
            if mode in ("follow", "abort"):
                self.q = np.array([np.interp(t, times, points[:, j]) for j in range(6)])
                self.qd = np.full(6, 0.1 if t < times[-1] else 0.0)
            if mode == "abort" and t > times[-1] / 2:
                self.qd = np.zeros(6)
                result.error_code = FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED
                result.error_string = "elbow_joint is 0.3 rad off"
                handle.abort()
                return result
            if mode != "silent" and t >= times[-1]:
                handle.succeed()
                return result
            time.sleep(0.01)

    def _move_fingers(self, handle, width: float) -> tuple[bool, bool] | None:
        """Move at 1 m/s; (stalled, reached), or None after a cancellation."""
        if self.gripper_mode == "abort":
            handle.abort()
            return False, False
        blocked = self.object_width if self.object_width is not None and width < self.object_width else None
        goal = width if blocked is None or self.width < blocked else blocked
        if self.gripping and goal > self.width + 0.001:
            self.gripping = False
            self.on_release()
        while True:
            if handle.is_cancel_requested:
                handle.canceled()
                return None
            if self.gripper_mode == "move":
                self.width += float(np.clip(goal - self.width, -0.01, 0.01))
                if abs(self.width - goal) < 1e-6:
                    self.gripping = goal != width
                    handle.succeed()
                    return goal != width, goal == width
            time.sleep(0.01)

    def _grip(self, handle) -> GripperCommand.Result:
        done = self._move_fingers(handle, GRIPPER.width_from_joint(handle.request.command.position))
        position = GRIPPER.joint_from_width(self.width)
        return GripperCommand.Result(
            position=position, stalled=bool(done and done[0]), reached_goal=bool(done and done[1])
        )

    def _grip_parallel(self, handle) -> ParallelGripperCommand.Result:
        command = handle.request.command
        done = self._move_fingers(handle, GRIPPER.width_from_joint(command.position[0]))
        result = ParallelGripperCommand.Result(stalled=bool(done and done[0]), reached_goal=bool(done and done[1]))
        result.state.name, result.state.position = list(command.name), [GRIPPER.joint_from_width(self.width)]
        return result


class FakeEyes(Node):
    """Cloud of a box on the bin's floor at 10 Hz, and a detector. `grasps()` makes what the detector answers."""

    def __init__(self, context: Context) -> None:
        super().__init__("fake_eyes", context=context)
        self._publisher = self.create_publisher(PointCloud2, "/camera_node/cloud", qos.SENSOR)
        self._looked = self.create_publisher(Header, "/camera_node/looked", qos.SENSOR)
        self.create_timer(0.1, self._publish, callback_group=MutuallyExclusiveCallbackGroup())
        self.reset()
        self.serve()

    def serve(self) -> None:
        self.detector = ActionServer(
            self,
            DetectGrasps,
            "detect_grasps",
            self._detect,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def reset(self) -> None:
        self.publish = True
        self.near = False  # so near an object that the images show nothing
        self.objects = 1
        self.detect_mode = "grasps"  # grasps | hang | an ErrorCode
        self.frame = "base_link"
        self.requests: list[DetectGrasps.Goal] = []
        self.stamp = 0
        self.grasps = lambda: grasps_on_box()

    def _publish(self) -> None:
        if self.publish:
            stamp = self.stamp = self.get_clock().now().nanoseconds  # `reset` may clear `self.stamp` meanwhile
            self._looked.publish(Header(stamp=ns_to_stamp(stamp), frame_id="camera"))
        if self.publish and not self.near:
            points = box_cloud() if self.objects else floor_cloud()
            self._publisher.publish(cloud_to_msg(Cloud(points, frame="base_link", stamp=stamp)))

    def _detect(self, handle) -> DetectGrasps.Result:
        self.requests.append(handle.request)
        result = DetectGrasps.Result()
        mode = self.detect_mode
        while mode == "hang" and self.detect_mode == "hang" and not handle.is_cancel_requested and self.context.ok():
            time.sleep(0.02)
        if handle.is_cancel_requested:
            handle.canceled()
            result.error_code = int(ErrorCode.CANCELLED)
            return result
        if isinstance(mode, ErrorCode) or not self.objects:
            code = mode if isinstance(mode, ErrorCode) else ErrorCode.NO_GRASP
            handle.abort()
            return DetectGrasps.Result(error_code=int(code), error_msg=f"fake {code.name}")
        give_up = time.monotonic() + 1.0
        while self.stamp < stamp_to_ns(handle.request.not_before):
            time.sleep(0.01)
            if time.monotonic() > give_up:
                handle.abort()
                return DetectGrasps.Result(error_code=int(ErrorCode.NO_DEPTH), error_msg="fake NO_DEPTH")
        result.grasps = grasps_to_msg(self.grasps(), self.frame, self.stamp, "fake", GRIPPER.name)
        handle.succeed()
        return result


class Client:
    """Goals of one action, with blocking calls."""

    def __init__(self, node: Node, action_type, name: str) -> None:
        self.feedback: list = []
        self.client = ActionClient(node, action_type, name, callback_group=ReentrantCallbackGroup())
        assert self.client.wait_for_server(60.0)

    def send(self, goal):
        """The handle of the goal."""
        future = self.client.send_goal_async(goal, feedback_callback=lambda m: self.feedback.append(m.feedback))
        assert wait_future(future, 30.0), "no answer to the goal"
        return future.result()

    def result(self, handle, timeout: float = 60.0) -> SimpleNamespace:
        """Status and result."""
        future = handle.get_result_async()
        assert wait_future(future, timeout), "no result"
        return SimpleNamespace(status=future.result().status, result=future.result().result)

    def call(self, goal, timeout: float = 60.0):
        """The result of a goal that is accepted."""
        handle = self.send(goal)
        assert handle.accepted
        return self.result(handle, timeout).result

    def wait_stage(self, stage: str, timeout: float = 60.0) -> None:
        """Until feedback tells of the stage."""
        deadline = time.monotonic() + timeout
        while not any(f.stage == stage for f in list(self.feedback)):
            assert time.monotonic() < deadline, f"never in {stage}: {[f.stage for f in self.feedback]}"
            time.sleep(0.005)


def floor_cloud() -> np.ndarray:
    x, y = np.meshgrid(np.arange(0.32, 0.68, 0.006), np.arange(-0.13, 0.13, 0.006))
    return np.stack([x, y, np.full_like(x, 0.006)], -1).reshape(-1, 3).astype(np.float32)


def box_cloud() -> np.ndarray:
    """The bin's floor with a box of 40 x 40 x 40 mm on it."""
    grid = np.arange(-0.02, 0.0201, 0.005)
    x, y = np.meshgrid(grid, grid)
    top = np.stack([x + TOP[0], y + TOP[1], np.full_like(x, TOP[2])], -1).reshape(-1, 3)
    return np.concatenate([floor_cloud(), top.astype(np.float32)])


def grasps_on_box(n: int = 2) -> Grasps:
    """From above, tips 25 mm below the top."""
    t = np.repeat((TOP - [0, 0, 0.025])[None], n, axis=0)
    t[:, 1] += np.linspace(0.0, 0.005, n)
    return Grasps.create(np.repeat(DOWN[None], n, axis=0), t, np.full(n, 0.06), 0.025, np.linspace(0.9, 0.5, n))


def candidates(stamp: int, grasps: Grasps | None = None, frame: str = "base_link"):
    """A GraspArray message."""
    return grasps_to_msg(grasps_on_box() if grasps is None else grasps, frame, stamp, "fake", GRIPPER.name)


def straight(q0: np.ndarray, q1: np.ndarray, seconds: float = 1.0) -> Trajectory:
    """Joint interpolation at rest at both ends."""
    s = np.linspace(0, 1, 11)
    blend = 3 * s**2 - 2 * s**3
    q = q0 + (q1 - q0) * blend[:, None]
    qd = (q1 - q0) * (6 * s - 6 * s**2)[:, None] / seconds
    return Trajectory(tuple(ARM.joints), s * seconds, q, qd, np.zeros_like(q))


class FakePlanner:
    """Straight lines in joint space, nothing in the way. `refuse`: codes raised for the next calls."""

    joint_names = tuple(ARM.joints)

    def __init__(self) -> None:
        self.refuse: list[ErrorCode | None] = []
        self.held = None
        self.scenes: list = []
        self.poses: list[np.ndarray] = []

    def set_scene(self, cloud, held=None, ignore=()) -> None:
        self.held = held
        self.scenes.append((cloud, held, list(ignore)))

    def set_held(self, held) -> None:
        self.held = held

    def self_contacts(self, q, width) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        pass

    def fk(self, q) -> np.ndarray:
        return se3.make(DOWN, [0.5, 0.0, 0.3])

    def _go(self, q, pose=None, goal=None) -> Trajectory:
        code = self.refuse.pop(0) if self.refuse else None
        if code is not None:
            raise PlanningError(f"fake {code.name}", code)
        if pose is not None:
            self.poses.append(pose)
        return straight(np.asarray(q), np.asarray(q) + 0.05 if goal is None else np.asarray(goal))

    def plan_joints(self, q, goal, width, velocity_scaling=None) -> Trajectory:
        return self._go(q, goal=goal)

    def plan_pose(self, q, pose, width, velocity_scaling=None) -> Trajectory:
        return self._go(q, pose)

    def plan_linear(self, q, pose, width, ignore=None, velocity_scaling=None) -> Trajectory:
        return self._go(q, pose)

    def plan_grasps(self, q, R, t, width, velocity_scaling=None, max_time=None) -> GraspSearch:
        rejected = []
        for i in range(len(t)):
            code = self.refuse.pop(0) if self.refuse else None
            if code is not None:
                rejected.append(Rejection(i, code, f"fake {code.name}", 1.0))
                continue
            T = se3.make(R[i], t[i])
            q = np.asarray(q)
            steps = [straight(q + 0.1 * k, q + 0.1 * (k + 1)) for k in range(2)] + [straight(q + 0.2, q + 0.1)]
            target = Exemption(T, np.array([0.1, 0.1, 0.1]))
            plan = GraspPlan(*steps, T, float(width[i]), False, 0.08, 0.1, target, HELD)
            return GraspSearch(plan, i, tuple(rejected))
        return GraspSearch(None, -1, tuple(rejected))


def now_stamp(node: Node):
    """ROS time as a message."""
    return ns_to_stamp(node.get_clock().now().nanoseconds)
