"""`sensor_msgs/PointCloud2` <-> `grasp_core.cloud.Cloud`."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_ros.conversions.buffers import to_data, topic_prefix
from grasp_ros.conversions.stamps import ns_to_stamp, stamp_to_ns

_FLOATS = {PointField.FLOAT32: np.float32, PointField.FLOAT64: np.float64}
_PACKED = (PointField.FLOAT32, PointField.UINT32)
_XYZ = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
_RGB = PointField(name="rgb", offset=12, datatype=PointField.FLOAT32, count=1)


def cloud_to_msg(cloud: Cloud) -> PointCloud2:
    """An unordered cloud with fields x, y, z and, with colours, rgb packed into a float as PCL and realsense-ros do."""
    n = len(cloud.points)
    msg = PointCloud2(height=1, width=n, is_bigendian=False, is_dense=True)
    msg.header.frame_id = cloud.frame
    msg.header.stamp = ns_to_stamp(cloud.stamp)
    if cloud.colors is None:
        rows = np.asarray(cloud.points, np.float32)
        msg.fields = list(_XYZ)
    else:
        rows = np.empty((n, 4), np.float32)
        rows[:, :3] = cloud.points
        rgb = cloud.colors.astype(np.uint32)
        rows[:, 3] = (rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]).view(np.float32)
        msg.fields = [*_XYZ, _RGB]
    msg.point_step = 4 * len(msg.fields)
    msg.row_step = msg.point_step * n
    msg.data = to_data(rows)
    return msg


def msg_to_cloud(msg: PointCloud2, topic: str = "") -> Cloud:
    """Points (N, 3) float32 in m in the message's frame, colours (N, 3) uint8 from `rgb` or `rgba` or None.

    Points with a NaN or infinite coordinate are left out, as PCL's ordered clouds mark missing pixels. InputError:
    no frame, no x, y, z of floats, big-endian, fields or rows that do not fit the data.
    """
    prefix = topic_prefix(topic)
    if not msg.header.frame_id:
        raise InputError(f"{prefix}cloud without frame_id: the publisher must name the frame of its points")
    if msg.is_bigendian:
        raise InputError(f"{prefix}cloud is big-endian: publish it little-endian")
    count = msg.width * msg.height
    if msg.row_step < msg.width * msg.point_step or len(msg.data) != msg.row_step * msg.height:
        raise InputError(
            f"{prefix}cloud data has {len(msg.data)} bytes; {msg.width}x{msg.height} points of {msg.point_step} bytes "
            f"with row_step {msg.row_step} need {msg.row_step * msg.height}: it is cut off or its header is wrong"
        )
    fields = {field.name: field for field in msg.fields}
    xyz = [_column(msg, _float_field(fields, name, prefix), prefix) for name in "xyz"]
    points = np.empty((count, 3), np.float32)
    for axis, column in enumerate(xyz):
        points[:, axis] = column.reshape(-1)
    colors = _colors(msg, fields, prefix)
    valid = np.isfinite(points).all(axis=1)
    if not valid.all():
        points, colors = points[valid], None if colors is None else colors[valid]
    return Cloud(points=points, colors=colors, frame=msg.header.frame_id, stamp=stamp_to_ns(msg.header.stamp))


def _float_field(fields: dict[str, PointField], name: str, prefix: str) -> tuple[int, type]:
    field = fields.get(name)
    if field is None or field.datatype not in _FLOATS or field.count not in (0, 1):
        have = ", ".join(f"{f.name} (type {f.datatype}, count {f.count})" for f in fields.values()) or "none"
        raise InputError(f"{prefix}cloud has no float field '{name}'; it needs x, y, z and has: {have}")
    return field.offset, _FLOATS[field.datatype]


def _column(msg: PointCloud2, field: tuple[int, type], prefix: str) -> np.ndarray:
    """(height, width) strided view of one field."""
    offset, dtype = field
    size = np.dtype(dtype).itemsize
    if offset + size > msg.point_step:
        raise InputError(f"{prefix}cloud field at byte {offset} does not fit into point_step {msg.point_step}")
    if msg.width * msg.height == 0:
        return np.empty((0, 0), dtype)
    shape, strides = (msg.height, msg.width), (msg.row_step, msg.point_step)
    return np.ndarray(shape, dtype, buffer=msg.data, offset=offset, strides=strides)


def _colors(msg: PointCloud2, fields: dict[str, PointField], prefix: str) -> np.ndarray | None:
    field = fields.get("rgb") or fields.get("rgba")
    if field is None:
        return None
    if field.datatype not in _PACKED:
        raise InputError(
            f"{prefix}cloud field '{field.name}' has type {field.datatype}: expected packed FLOAT32 or UINT32"
        )
    packed = np.ascontiguousarray(_column(msg, (field.offset, np.uint32), prefix)).reshape(-1, 1)
    return np.ascontiguousarray(packed.view(np.uint8).reshape(-1, 4)[:, 2::-1])
