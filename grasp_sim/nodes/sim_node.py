"""The simulated work cell behind the interfaces of the real drivers."""

from __future__ import annotations

import sys

import numpy as np
from geometry_msgs.msg import Vector3
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from seegrasp_msgs.srv import ResetScene
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ErrorCode, InputError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, ns_to_stamp
from grasp_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_sim.calibration_board import BoardPlace
from grasp_sim.meshes import load_folder
from grasp_sim.nodes.camera_feed import CameraFeed
from grasp_sim.nodes.gripper_action import GripperAction
from grasp_sim.nodes.robot_feed import TF_TICKS, RobotFeed
from grasp_sim.nodes.trajectory_action import TrajectoryAction
from grasp_sim.scenes import KINDS, Scene, empty_scene, sample_scene
from grasp_sim.simulation import Simulation
from grasp_sim.ur_controller.controller import Controller
from grasp_sim.ur_plant import ControllerArm, make_controller
from grasp_sim.work_cell import WorkCell

OBJECT_TICKS = 50  # of 10 ms: 2 Hz
MARKER_LIFETIME = 2  # s
THREADS = 6  # two actions with a goal that ends and one that begins each, the service, and one to spare


class SimNode(Node):
    """sim_node: robot, gripper and cameras of a cell, simulated; see docs/NODES.md for its topics."""

    def __init__(self) -> None:
        super().__init__("sim_node")
        params = Params(self)
        self._cell = Cell.load(params.declare("cell", "bin_picking", "cell profile: shipped name or path of a YAML"))
        self._kind = params.declare("scene", "bin", "kind of scene", choices=KINDS)
        self._count = params.declare("objects", 10, "number of objects", min=0, max=60)
        self._seed = params.declare("seed", 0, "seed of scene and noise", min=0)
        families = params.declare("families", [], "object families to draw from (names); empty: all")
        meshes = params.declare("meshes", "", "folder of meshes that are drawn, too; with families:=['none'] only they")
        noise = params.declare("noise", True, "depth noise of the camera profiles; false: exact depth")
        factor = params.declare("real_time_factor", 1.0, "simulated per real time; 0: as fast as possible", min=0.0)
        rate = params.declare("camera_rate", 0.0, "Hz of all cameras; 0: each camera's own", min=0.0, max=60.0)
        overhead = params.declare("overhead", True, "whether cameras that are not on the arm are rendered")
        color_noise = params.declare("color_noise", 0.0, "of the pictures, standard deviation of 255", 0.0, 50.0)
        self._board = _board(
            params.declare("board", "", "calibration board in the cell: profile; empty: none"),
            params.declare("board_frame", "base_link", "frame of the arm that it is fixed to"),
            params.declare(
                "board_pose", [0.45, -0.1, 0.05, 3.1416, 0.0, 0.0], "its centre: x y z roll pitch yaw; m, rad"
            ),
        )
        driven = params.declare("ur_controller", False, "a UR controller on the network in place of arm and gripper")
        address = params.declare("ur_address", "127.0.0.2", "its address; the ports are fixed")
        params.check_unknown()
        self._choice = _choice(families, meshes)
        self._arm, self._gripper = ArmProfile.load(self._cell.arm), Gripper.load(self._cell.gripper)
        try:
            scene = self._sample(self._kind, self._count, self._seed)
        except InputError as error:
            raise ConfigError(str(error)) from error
        self._controller = self._make_controller(address) if driven else None
        self._simulation = Simulation(self._build(scene), factor, self._tick)
        self._robot = RobotFeed(self, self._simulation.cell, self._simulation.stamp_ns, driven)
        cameras = {
            i: camera
            for i, camera in enumerate(self._cell.cameras)
            if overhead or camera.parent != self._cell.base_frame
        }
        self._cameras = CameraFeed(self, cameras, rate, noise, color_noise, self._seed, lockstep=factor == 0.0)
        self._markers = self.create_publisher(MarkerArray, "~/objects", qos.RELIABLE)
        if not driven:
            self._trajectories = TrajectoryAction(self, self._simulation, self._arm.driver.trajectory_action)
            self._grips = GripperAction(self, self._simulation, self._gripper)
        self.create_service(ResetScene, "/reset_scene", self._reset, callback_group=MutuallyExclusiveCallbackGroup())
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("physics", self._report_physics)
        self._diagnostics.add("contacts", self._report_contacts)
        self._diagnostics.add("cameras", self._cameras.report)
        self._factor = factor
        self._simulation.start()
        self.get_logger().info(f"{self._cell.name}: {self._kind} scene of {len(scene)} objects, seed {self._seed}")

    def close(self) -> None:
        """Stop time and the cameras."""
        self._simulation.stop()
        self._cameras.close()
        if self._controller is not None:
            self._controller.close()

    def _make_controller(self, address: str) -> Controller:
        try:
            return make_controller(self._arm.name, address, lambda: self._simulation.cell)
        except OSError as error:
            raise ConfigError(f"parameter 'ur_address' of sim_node: {address}: {error}") from error

    def _sample(self, kind: str, count: int, seed: int) -> Scene:
        if count == 0:
            return empty_scene(kind, seed, self._cell)
        try:
            return sample_scene(kind, 1 if kind == "single" else count, seed, self._cell, **self._choice)
        except InputError as error:
            raise InputError(f"scene of kind {kind!r} with {count} objects, seed {seed}: {error}") from error

    def _build(self, scene: Scene) -> WorkCell:
        objects, poses = scene.objects, scene.poses
        cell = WorkCell(self._cell, self._arm, self._gripper, objects, poses, scene.with_bin, self._board)
        if self._controller is not None:
            cell.arm = ControllerArm(self._controller)
        return cell

    def _tick(self, cell: WorkCell, stamp_ns: int, tick: int) -> None:
        """Every 10 ms of simulated time, in the simulation's thread."""
        if not self.context.ok():
            return
        try:
            self._publish(cell, stamp_ns, tick)
        except RCLError:
            if self.context.ok():  # else the process is ending between the two lines
                raise

    def _publish(self, cell: WorkCell, stamp_ns: int, tick: int) -> None:
        cell.refresh()
        self._robot.tick(cell, stamp_ns, tick)
        if tick % TF_TICKS == 0:
            self._cameras.tick(cell.cell_model, cell.snapshot(), stamp_ns)
        if tick % OBJECT_TICKS == 0:
            self._markers.publish(_object_markers(cell, stamp_ns))

    def _reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        """Build the asked scene beside the running one, then swap them."""
        kind, count = request.kind or self._kind, request.objects or self._count
        try:
            if kind == "single" and request.objects > 1:
                raise InputError(f"a 'single' scene has 1 object, asked for {request.objects}")
            scene = self._sample(kind, count, request.seed)
            self._simulation.replace(self._build(scene))
        except SeegraspError as error:
            response.error_code, response.error_msg = int(error.code), str(error)
            return response
        response.success, response.error_code = True, int(ErrorCode.NONE)
        response.objects = [obj.name for obj in scene.objects]
        self.get_logger().info(f"reset: {kind} scene of {len(scene)} objects, seed {request.seed}")
        return response

    def _report_physics(self) -> Report:
        simulation = self._simulation
        pace = simulation.pace
        report = Report(OK, "ok", {"real_time_factor": pace.factor, "lost_s": pace.lost})
        if simulation.error is not None:
            report.worse(ERROR, f"the simulation has stopped: {simulation.error}")
        elif 0 < pace.factor < 0.95 * self._factor:
            report.worse(
                WARN, f"slower than asked for: {pace.factor:.2f} instead of {self._factor:.2f} times real time"
            )
        return report

    def _report_contacts(self) -> Report:
        with self._simulation.lock:
            cell = self._simulation.cell
            counts, held = cell.contacts.counts, cell.held_objects()
            pairs = ", ".join(f"{pair} ({n})" for pair, n in counts.pairs.most_common(5))
            values = {
                "robot_contacts": counts.robot,
                "robot_contacts_in_motion": counts.robot_in_motion,
                "finger_environment_contacts": counts.finger_environment,
                "robot_penetration_mm": counts.robot_penetration * 1e3,
                "max_penetration_mm": counts.penetration * 1e3,
                "pairs": pairs,
                "held": ", ".join(held),
            }
        report = Report(OK, "ok", values)
        if counts.robot:
            report.worse(WARN, f"the robot touched something in {counts.robot} steps: {pairs}")
        return report


def _board(profile: str, frame: str, pose: list[float]) -> BoardPlace | None:
    """The calibration board, None without a profile; ConfigError on a pose that is no six numbers."""
    if not profile:
        return None
    if len(pose) != 6 or not np.isfinite(pose).all():
        raise ConfigError(f"parameter 'board_pose' is {pose}: expected x y z roll pitch yaw in m and rad")
    board = Board.load(profile)
    centre = se3.make(se3.rpy_matrix(*pose[3:]), pose[:3])
    return BoardPlace(board, frame, centre @ se3.make(np.eye(3), -board.centre))


def _choice(families: list[str], meshes: str) -> dict[str, object]:
    """What scenes draw from, as sample_scene's arguments; ConfigError on a folder that cannot be used."""
    choice: dict[str, object] = {}
    if meshes:
        try:
            choice["extra_objects"] = load_folder(meshes)
        except InputError as error:
            raise ConfigError(f"parameter 'meshes': {error}") from error
    if families:
        choice["families"] = [] if families == ["none"] else families
    return choice


def _object_markers(cell: WorkCell, stamp_ns: int) -> MarkerArray:
    """Ground truth: one box per object around it, posed as the object frame; namespace = name."""
    markers = MarkerArray()
    for name, pose in cell.object_poses().items():
        obj = cell.objects[name]
        marker = Marker(ns=name, id=0, type=Marker.CUBE, action=Marker.ADD, pose=matrix_to_pose(pose))
        marker.header.frame_id = cell.cell.base_frame
        marker.header.stamp = ns_to_stamp(stamp_ns)
        x, y, z = np.asarray(obj.extents, dtype=float).tolist()
        marker.scale = Vector3(x=x, y=y, z=z)
        r, g, b, _ = (float(v) for v in obj.rgba)
        marker.color = ColorRGBA(r=r, g=g, b=b, a=0.4)
        marker.lifetime.sec = MARKER_LIFETIME
        markers.markers.append(marker)
    return markers


def main() -> None:
    """Entry point of sim_node."""
    sys.exit(run_node(SimNode, threads=THREADS))


if __name__ == "__main__":
    main()
