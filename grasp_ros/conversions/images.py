"""`sensor_msgs/Image` <-> numpy."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image

from grasp_core.errors import InputError
from grasp_ros.conversions.buffers import to_data, topic_prefix
from grasp_ros.conversions.stamps import ns_to_stamp

_ENCODINGS: dict[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "8UC3": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "8UC1": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "mono16": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}
_DEPTH = ("16UC1", "mono16", "32FC1")
_COLOUR = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
MILLIMETRE = 0.001


def image_to_array(msg: Image, topic: str = "") -> np.ndarray:
    """A read-only view of the pixels, (H, W) or (H, W, C), in the message's own type and channel order.

    InputError: unknown or empty encoding, zero size, a step shorter than a row, data that are not step * height bytes,
    big-endian pixels of more than one byte.
    """
    prefix = topic_prefix(topic)
    if msg.encoding not in _ENCODINGS:
        raise InputError(f"{prefix}image encoding '{msg.encoding}' is not supported: use {', '.join(_ENCODINGS)}")
    dtype, channels = _ENCODINGS[msg.encoding]
    size = np.dtype(dtype).itemsize
    if msg.width == 0 or msg.height == 0:
        raise InputError(f"{prefix}image of {msg.width}x{msg.height} pixels: expected a size above zero")
    if size > 1 and msg.is_bigendian:
        raise InputError(f"{prefix}{msg.encoding} image is big-endian: publish it little-endian (is_bigendian=0)")
    if msg.step < msg.width * channels * size:
        raise InputError(
            f"{prefix}step {msg.step} is shorter than a row: {msg.width} px of {msg.encoding} need "
            f"{msg.width * channels * size} bytes"
        )
    if len(msg.data) != msg.step * msg.height:
        raise InputError(
            f"{prefix}image data has {len(msg.data)} bytes, step * height is {msg.step} * {msg.height} = "
            f"{msg.step * msg.height}: the image is cut off or its header is wrong"
        )
    raw = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)
    pixels = raw[:, : msg.width * channels * size].view(dtype)
    pixels = pixels if channels == 1 else pixels.reshape(msg.height, msg.width, channels)
    pixels.flags.writeable = False
    return pixels


def depth_to_metres(msg: Image, topic: str = "", scale: float = MILLIMETRE) -> np.ndarray:
    """(H, W) float32 depth in m. 16UC1 and mono16 are multiplied by `scale` (m per unit), 32FC1 is in m already.

    Invalid pixels stay as they came: 0 in integers; 0, NaN or inf in floats. InputError: as `image_to_array`, and for
    an encoding that is no depth.
    """
    if msg.encoding not in _DEPTH:
        raise InputError(
            f"{topic_prefix(topic)}depth encoding '{msg.encoding}' is not supported: use 16UC1 (mm) or 32FC1 (m)"
        )
    pixels = image_to_array(msg, topic)
    if pixels.dtype == np.float32:
        return pixels
    return np.multiply(pixels, np.float32(scale), dtype=np.float32)


def image_to_rgb(msg: Image, topic: str = "") -> np.ndarray:
    """(H, W, 3) uint8 RGB from rgb8, bgr8, rgba8, bgra8 or mono8 (a view where that is possible)."""
    if msg.encoding not in _COLOUR:
        raise InputError(
            f"{topic_prefix(topic)}colour encoding '{msg.encoding}' is not supported: use {', '.join(_COLOUR)}"
        )
    pixels = image_to_array(msg, topic)
    if msg.encoding == "mono8":
        return np.broadcast_to(pixels[..., None], (*pixels.shape, 3))
    return pixels[..., 2::-1] if msg.encoding.startswith("bgr") else pixels[..., :3]


def array_to_image(pixels: np.ndarray, encoding: str, frame: str, stamp_ns: int) -> Image:
    """An Image of (H, W) or (H, W, C) pixels; InputError when dtype or channels do not fit the encoding."""
    if encoding not in _ENCODINGS:
        raise InputError(f"image encoding '{encoding}' is not supported: use {', '.join(_ENCODINGS)}")
    dtype, channels = _ENCODINGS[encoding]
    found = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or pixels.dtype != dtype or found != channels:
        raise InputError(
            f"{encoding} needs {channels} channel(s) of {np.dtype(dtype).name}, got {pixels.shape} {pixels.dtype}"
        )
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0)
    msg.header.frame_id = frame
    msg.header.stamp = ns_to_stamp(stamp_ns)
    msg.step = pixels.shape[1] * channels * np.dtype(dtype).itemsize
    msg.data = to_data(pixels)
    return msg
