"""Camera pictures of attempts: keeps the frames that were seen while looking, draws the chosen grasp into one."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from rclpy.serialization import deserialize_message
from seegrasp_msgs.msg import PickAttempt
from sensor_msgs.msg import CameraInfo, Image

from grasp_core.camera import Camera
from grasp_core.errors import FrameError
from grasp_core.gripper import Gripper
from grasp_eval.recorder import Recorder, header_stamp
from grasp_eval.report import data_uri
from grasp_perception.drawing import draw_grasps
from grasp_ros.conversions import camera_from_info, image_to_rgb, msg_to_grasps, stamp_to_ns
from grasp_ros.tf_listener import TfListener

LOOKING = ("", "observe", "detect")
KEPT_FRAMES = 48
SPACING_NS = 250_000_000  # of ROS time; the camera stands still while pick_node looks
NEAR_NS = 500_000_000


@dataclass
class _Frame:
    stamp: int
    data: bytes
    T_base_cam: np.ndarray | None = None


class AttemptPictures:
    """Listens to a recorder's colour topic; `stage` is told by the feedback of /pick.

    Only frames seen while pick_node looks are kept (the newest 48, 0.25 s apart), each with the camera's pose then.
    """

    def __init__(self, recorder: Recorder, tf: TfListener, base_frame: str, gripper: Gripper, prefix: str) -> None:
        self.stage = ""
        self._tf, self._base, self._gripper = tf, base_frame, gripper
        self._frames: deque[_Frame] = deque(maxlen=KEPT_FRAMES)
        self._info: bytes = b""
        self._lock = threading.Lock()
        recorder.listeners[f"{prefix}/color/image_raw"] = self._on_image
        recorder.listeners[f"{prefix}/color/camera_info"] = self._on_info

    def _on_info(self, data: bytes, _: int) -> None:
        self._info = data

    def _on_image(self, data: bytes, _: int) -> None:
        if not self._info:
            return
        stamp = header_stamp(data)
        with self._lock:
            self._locate()
            last = self._frames[-1].stamp if self._frames else None
            if self.stage in LOOKING and (last is None or not 0 <= stamp - last < SPACING_NS):
                self._frames.append(_Frame(stamp, data))

    def _locate(self) -> None:
        """Look up the poses of new frames; those whose transforms are still to come are tried again."""
        new = [f for f in self._frames if f.T_base_cam is None]
        if not new:
            return
        camera_frame = deserialize_message(self._info, CameraInfo).header.frame_id
        for frame in new:
            with contextlib.suppress(FrameError):
                frame.T_base_cam = self._tf.lookup(self._base, camera_frame, frame.stamp)

    def clear(self) -> None:
        """Forget all frames (a new scene begins)."""
        with self._lock:
            self._frames.clear()

    def of(self, attempt: PickAttempt) -> str:
        """Picture of an attempt as a data URI; empty when there is none (no frame near what the detector saw)."""
        observed = stamp_to_ns(attempt.observed)
        with self._lock:
            if self._info:
                self._locate()
            placed = [f for f in self._frames if f.T_base_cam is not None]
            if not placed or not attempt.grasp.grasps:
                return ""
            frame = min(placed, key=lambda f: abs(f.stamp - observed))
        if abs(frame.stamp - observed) > NEAR_NS:
            return ""
        camera = camera_from_info(deserialize_message(self._info, CameraInfo), 0.05, 5.0, "color")
        return data_uri(self.draw(frame, camera, attempt))

    def draw(self, frame: _Frame, camera: Camera, attempt: PickAttempt) -> np.ndarray:
        """The colour picture with the attempt's grasp in it, (H, W, 3) uint8."""
        color = image_to_rgb(deserialize_message(frame.data, Image), "color")
        return draw_grasps(color, msg_to_grasps(attempt.grasp), self._gripper, camera, frame.T_base_cam)
