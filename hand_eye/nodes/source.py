"""What a calibration listens to: colour pictures and camera_info of one camera, joints, transforms."""

from __future__ import annotations

import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String

from grasp_core.arm import ArmProfile
from grasp_core.camera import CameraProfile
from grasp_core.cell import MountedCamera
from grasp_core.errors import ErrorCode, InputError, SeegraspError, StaleError
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, camera_from_info, image_to_rgb, stamp_to_ns
from grasp_ros.tf_listener import TfListener
from hand_eye.detection import Detection, Lens
from hand_eye.gate import Shot
from hand_eye.nodes.serials import serials_in

MODELS = {"plumb_bob": 5, "rational_polynomial": 8}  # distortion models of camera_info that OpenCV computes alike
TF_WAIT_S = 0.5  # for the transforms of a picture's time
TF_AGE_S = 1.0  # of the last message on /tf, when it is to say where the arm is now


def lens_of(info: CameraInfo, profile: CameraProfile, topic: str) -> Lens:
    """Intrinsics and distortion of a camera_info; InputError when they cannot be used."""
    camera = camera_from_info(info, profile.near, profile.far, topic)
    d = np.asarray(info.d, np.float64)
    if not d.any():
        d = np.zeros(0)
    elif MODELS.get(info.distortion_model) != len(d) or not np.isfinite(d).all():
        raise InputError(
            f"{topic}: distortion model '{info.distortion_model}' with {len(d)} coefficients: expected "
            f"{' or '.join(f'{name} with {n}' for name, n in MODELS.items())}; or publish rectified pictures"
        )
    return Lens(camera.K, d, (camera.width, camera.height), camera.frame)


class Source:
    """Subscriptions of one node, spinning in a thread of their own; the newest picture wins.

    Pictures with what was found in them can be seen on `~/view`.
    """

    def __init__(self, node: Node, mounted: MountedCamera, arm: ArmProfile) -> None:
        self.node, self.mounted, self.arm = node, mounted, arm
        self.urdf = ""
        self._serials: set[str] = set()
        self._info: CameraInfo | None = None
        self._picture: Image | None = None
        self._joints: dict[str, float] = {}
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        driver = arm.driver
        node.create_subscription(Image, mounted.topic("color"), self._on_picture, qos.LATEST)
        node.create_subscription(CameraInfo, mounted.topic("color_info"), self._on_info, qos.SENSOR)
        node.create_subscription(JointState, driver.joint_states, self._on_joints, qos.SENSOR)
        node.create_subscription(String, driver.robot_description, self._on_description, qos.LATCHED)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.tf = TfListener(node)
        self._shown = node.create_publisher(Image, "~/view", qos.RELIABLE)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="calibration data", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception as error:  # a defect in a callback must reach the waiting main thread
            if self.node.context.ok():
                self._failure = error

    def close(self) -> None:
        """Stop listening."""
        self._executor.shutdown(timeout_sec=5.0)
        self._thread.join(timeout=5.0)

    # in the executor's thread

    def _on_picture(self, msg: Image) -> None:
        with self._changed:
            self._picture = msg
            self._changed.notify_all()

    def _on_info(self, msg: CameraInfo) -> None:
        with self._changed:
            self._info = msg
            self._changed.notify_all()

    def _on_joints(self, msg: JointState) -> None:
        self._joints = {**self._joints, **dict(zip(msg.name, msg.position, strict=False))}

    def _on_description(self, msg: String) -> None:
        self.urdf = msg.data

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self._serials |= serials_in(msg, self.mounted.namespace)

    # asking

    @property
    def serial(self) -> str:
        """The camera's serial number, empty where no driver or more than one tells one."""
        return next(iter(self._serials)) if len(self._serials) == 1 else ""

    def lens(self, wait_s: float) -> Lens:
        """Intrinsics; InputError when no camera_info comes, or one that cannot be used."""
        topic = self.mounted.topic("color_info")
        info = self._wait(lambda: self._info, topic, wait_s)
        return lens_of(info, self.mounted.camera_profile, topic)

    def picture(self, wait_s: float) -> tuple[np.ndarray, int]:
        """The next picture, (H, W, 3) uint8 RGB, and its stamp in ns; SeegraspError when none comes in time."""
        topic = self.mounted.topic("color")
        msg = self._wait(lambda: self._picture, topic, wait_s)
        with self._changed:
            self._picture = None
        if msg.header.frame_id != self.mounted.frame:
            raise InputError(
                f"{topic} is in frame '{msg.header.frame_id}', the cell's camera is '{self.mounted.frame}': compare "
                "namespace and optical_frame of the profiles with the driver"
            )
        return image_to_rgb(msg, topic), stamp_to_ns(msg.header.stamp)

    def shot(self, found: Detection, stamp_ns: int) -> Shot:
        """The picture's detection with the arm at its time; FrameError when the flange's transform is missing."""
        arm = self.arm
        T = self.tf.lookup(arm.base_frame, arm.flange_frame, stamp_ns, TF_WAIT_S)
        known = [self._joints[name] for name in arm.joints if name in self._joints]
        return Shot(stamp_ns, found, T, np.array(known if len(known) == arm.dof else []))

    def flange(self) -> np.ndarray:
        """T_base_flange (4, 4), now; FrameError when it is missing, StaleError when /tf has fallen silent."""
        age = self.tf.age_s
        if age is not None and age > TF_AGE_S:
            raise StaleError(f"nothing on /tf for {age:.1f} s: is the arm's driver running?")
        return self.tf.lookup(self.arm.base_frame, self.arm.flange_frame, None, TF_WAIT_S)

    def show(self, picture: np.ndarray, stamp_ns: int) -> None:
        """Publish a picture (H, W, 3) uint8 for the user."""
        self._shown.publish(array_to_image(np.ascontiguousarray(picture), "rgb8", self.mounted.frame, stamp_ns))

    def _wait(self, get, topic: str, wait_s: float):
        deadline = time.monotonic() + wait_s
        with self._changed:
            while (value := get()) is None:
                if self._failure is not None:
                    raise self._failure
                left = deadline - time.monotonic()
                if left <= 0.0:
                    count = self.node.count_publishers(topic)
                    raise SeegraspError(
                        f"nothing on {topic} for {wait_s:g} s ({count} publishers): is the camera's driver running, "
                        "with this ROS_DOMAIN_ID and these names of topics?",
                        ErrorCode.NO_DEPTH,
                    )
                self._changed.wait(min(left, 0.25))
        return value
