"""The demo's ROS side: waits for the stack, resets the scene, sends the pick goal, knows where the objects are."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

import numpy as np
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from seegrasp_msgs.action import DetectGrasps, ExecuteGrasp, MoveTo, Pick
from seegrasp_msgs.msg import PickAttempt
from seegrasp_msgs.srv import ResetScene
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core.cell import Cell
from grasp_eval.results import Attempt
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns, timings_from_msgs

OBJECTS = "/sim_node/objects"
NEEDED_TOPICS = ("/clock", "/joint_states", "/camera_node/cloud", "/detector_node/grasps")
REPLY_S = 60.0
Abort = Callable[[], None]  # raises when waiting makes no sense any more


class DemoError(Exception):
    """The run cannot go on; what was reached so far is still reported."""


def attempt_from_msg(msg: PickAttempt, seed: int, wall_s: float) -> Attempt:
    """A row of the results from pick_node's message."""
    attempt = Attempt(
        seed=seed,
        index=msg.index,
        success=msg.success,
        stage=msg.stage,
        error_code=msg.error_code,
        error_msg=msg.error_msg,
        start_s=stamp_to_ns(msg.start) * 1e-9,
        duration_s=msg.duration_s,
        wall_s=wall_s,
        candidates=msg.candidates,
        candidates_tried=msg.candidates_tried,
        timings=timings_from_msgs(msg.timings),
    )
    if msg.grasp.grasps:
        grasp = msg.grasp.grasps[0]
        position = grasp.pose.position
        attempt.score, attempt.width_m = grasp.score, grasp.width
        attempt.position = (position.x, position.y, position.z)
    return attempt


class DemoClient:
    """Client of a running stack. All waiting is on the steady clock and bounded."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.set_parameters([Parameter("use_sim_time", value=True)])
        self.pick = ActionClient(node, Pick, "/pick")
        self._others = [
            ActionClient(node, kind, name)
            for kind, name in ((DetectGrasps, "/detect_grasps"), (ExecuteGrasp, "/execute_grasp"), (MoveTo, "/move_to"))
        ]
        self._reset = node.create_client(ResetScene, "/reset_scene")
        self._objects: dict[str, np.ndarray] = {}
        self._objects_at = 0.0
        self._changed = threading.Condition()
        self._handle = None
        self.failure = ""
        node.create_subscription(MarkerArray, OBJECTS, self._on_objects, qos.SENSOR)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="demo client", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:  # whatever a callback raised must reach the waiting main thread
            self.failure = f"{type(error).__name__}: {error}"
            self.node.get_logger().error(traceback.format_exc())

    def close(self) -> None:
        """Stop spinning."""
        self._executor.shutdown(timeout_sec=5.0)
        self._thread.join(timeout=5.0)

    @property
    def ros_s(self) -> float:
        """ROS time, s."""
        return self.node.get_clock().now().nanoseconds * 1e-9

    def missing(self) -> list[str]:
        """What the stack still lacks before it can pick."""
        gone = [name for name in NEEDED_TOPICS if not self.node.count_publishers(name)]
        clients = [self.pick, *self._others]
        gone += [f"action {c._action_name}" for c in clients if not c.server_is_ready()]
        if not self._reset.service_is_ready():
            gone.append("service /reset_scene")
        return gone

    def wait_ready(self, timeout_s: float, abort: Abort, show: Callable[[list[str]], None]) -> None:
        """Until nothing is missing. Raises DemoError naming what never came."""
        end = time.monotonic() + timeout_s
        while missing := self.missing():
            abort()
            show(missing)
            if time.monotonic() > end:
                raise DemoError(f"not ready after {timeout_s:.0f} s; still missing: {', '.join(missing)}")
            time.sleep(0.25)

    def _await(self, future: Future, timeout_s: float, what: str, abort: Abort) -> object:
        end = time.monotonic() + timeout_s
        while not future.done():
            abort()
            if time.monotonic() > end:
                raise DemoError(f"{what}: no reply within {timeout_s:.0f} s")
            time.sleep(0.05)
        return future.result()

    def reset(self, kind: str, objects: int, seed: int, abort: Abort) -> list[str]:
        """Rebuild the scene; names of its objects."""
        request = ResetScene.Request(kind=kind, objects=objects, seed=seed)
        reply = self._await(self._reset.call_async(request), REPLY_S, "/reset_scene", abort)
        if not reply.success:
            raise DemoError(f"/reset_scene failed ({reply.error_code}): {reply.error_msg}")
        return list(reply.objects)

    def start_pick(self, goal: Pick.Goal, on_feedback: Callable[[Pick.Feedback], None], abort: Abort) -> Future:
        """Send the goal; the future of its result, once it is accepted."""
        sent = self.pick.send_goal_async(goal, feedback_callback=lambda msg: on_feedback(msg.feedback))
        self._handle = self._await(sent, REPLY_S, "/pick", abort)
        if not self._handle.accepted:
            raise DemoError("/pick rejected the goal (is another one running?)")
        return self._handle.get_result_async()

    def cancel_pick(self) -> None:
        """Ask /pick to stop; does not wait."""
        if self._handle is not None and self._handle.accepted:
            self._handle.cancel_goal_async()

    def _on_objects(self, msg: MarkerArray) -> None:
        found = {}
        for marker in sorted(msg.markers, key=lambda m: m.id, reverse=True):
            if marker.action == Marker.ADD:
                p = marker.pose.position
                found[marker.ns] = np.array([p.x, p.y, p.z])
        with self._changed:
            self._objects, self._objects_at = found, time.monotonic()
            self._changed.notify_all()

    def objects(self, timeout_s: float = 3.0) -> dict[str, np.ndarray]:
        """Ground truth now: name -> centre (3,) in the base frame, from a message that comes after this call."""
        called = time.monotonic()
        with self._changed:
            if not self._changed.wait_for(lambda: self._objects_at > called, timeout_s):
                raise DemoError(f"no ground truth on {OBJECTS} within {timeout_s:.0f} s: is the simulator alive?")
            return dict(self._objects)


def split_by_tray(objects: dict[str, np.ndarray], cell: Cell) -> tuple[list[str], list[str]]:
    """Names of the objects (in the tray, elsewhere) by their centres."""
    if cell.tray is None:
        raise DemoError(f"cell {cell.name} has no tray to count objects in")
    inside = cell.tray.inside(cell.table.height, margin=0.0, low=-0.02, high=0.30)
    within = {name: bool(inside.contains(centre)) for name, centre in objects.items()}
    return sorted(n for n, yes in within.items() if yes), sorted(n for n, yes in within.items() if not yes)
