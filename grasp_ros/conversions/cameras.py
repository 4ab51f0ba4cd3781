"""`sensor_msgs/CameraInfo` <-> `grasp_core.camera.Camera`."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from grasp_core.camera import Camera
from grasp_core.errors import InputError
from grasp_ros.conversions.buffers import topic_prefix
from grasp_ros.conversions.stamps import ns_to_stamp

_MIN_FOCAL = 0.2  # of the longer side: a pinhole camera of more than 136 degrees is no pinhole camera
_MAX_FOCAL = 50.0


def camera_from_info(msg: CameraInfo, near: float, far: float, topic: str = "") -> Camera:
    """The pinhole camera of a camera_info; `near` and `far` (m) are its working range, which the message lacks.

    InputError: no frame, zero size, zero, NaN or skewed K, K that cannot belong to that size, binning or an ROI.
    """
    prefix = topic_prefix(topic)
    K = np.asarray(msg.k, np.float64).reshape(3, 3)
    if not msg.header.frame_id:
        raise InputError(f"{prefix}camera_info without frame_id: the driver must name its optical frame")
    if msg.width == 0 or msg.height == 0:
        raise InputError(f"{prefix}camera_info of {msg.width}x{msg.height} pixels: expected a size above zero")
    if msg.binning_x > 1 or msg.binning_y > 1 or msg.roi.x_offset or msg.roi.y_offset:
        raise InputError(
            f"{prefix}camera_info with binning or a region of interest is not supported: publish full images"
        )
    _check_k(K, msg.width, msg.height, prefix)
    return Camera(K, msg.width, msg.height, frame=msg.header.frame_id, near=near, far=far)


def _check_k(K: np.ndarray, width: int, height: int, prefix: str) -> None:
    text = np.array2string(K.reshape(-1), precision=3, separator=", ")
    if not np.isfinite(K).all() or not K.any():
        raise InputError(f"{prefix}camera_info K = {text}: the camera is not calibrated; expected fx, fy, cx, cy in px")
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    if abs(K[0, 1]) > 1e-6 * abs(fx) or K[1, 0] != 0 or not np.array_equal(K[2], (0.0, 0.0, 1.0)):
        raise InputError(f"{prefix}camera_info K = {text} is no pinhole matrix [fx 0 cx, 0 fy cy, 0 0 1]")
    side = max(width, height)
    focal_fits = all(_MIN_FOCAL * side <= f <= _MAX_FOCAL * side for f in (fx, fy)) and 0.5 <= fx / fy <= 2.0
    if not focal_fits or not (0 < cx < width - 1 and 0 < cy < height - 1):
        raise InputError(
            f"{prefix}camera_info K = {text} does not fit an image of {width}x{height}: is it of another resolution?"
        )


def distortion_pixels(msg: CameraInfo) -> float:
    """Largest shift in px that ignoring D causes at the image's border (plumb_bob terms k1, k2, p1, p2, k3)."""
    d = np.zeros(5)
    given = np.asarray(msg.d, np.float64)[:5]
    d[: len(given)] = given
    if not d.any():
        return 0.0
    K = np.asarray(msg.k, np.float64).reshape(3, 3)
    u, v = np.meshgrid(np.linspace(0, msg.width - 1, 9), np.linspace(0, msg.height - 1, 9))
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    r2 = x * x + y * y
    radial = d[0] * r2 + d[1] * r2**2 + d[4] * r2**3
    dx = x * radial + 2 * d[2] * x * y + d[3] * (r2 + 2 * x * x)
    dy = y * radial + d[2] * (r2 + 2 * y * y) + 2 * d[3] * x * y
    return float(np.hypot(dx * K[0, 0], dy * K[1, 1]).max())


def info_from_camera(camera: Camera, stamp_ns: int) -> CameraInfo:
    """The camera_info of an undistorted pinhole camera."""
    K = np.asarray(camera.K, np.float64)
    msg = CameraInfo(width=int(camera.width), height=int(camera.height), distortion_model="plumb_bob")
    msg.header.frame_id = camera.frame
    msg.header.stamp = ns_to_stamp(stamp_ns)
    msg.d = [0.0] * 5
    msg.k = K.reshape(-1).tolist()
    msg.r = np.eye(3).reshape(-1).tolist()
    msg.p = np.hstack([K, np.zeros((3, 1))]).reshape(-1).tolist()
    return msg
