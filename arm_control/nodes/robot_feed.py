"""What robot_state_publisher publishes, where none runs: /tf and /tf_static of a URDF, and the latched description."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from grasp_core import se3
from grasp_core.errors import ConfigError
from grasp_ros import qos
from grasp_ros.conversions import transforms_to_tf

_MOVING = ("revolute", "continuous", "prismatic")


@dataclass(frozen=True)
class _Joint:
    """One joint of the URDF: its frames, where the child is at zero, and how it moves (no axis: never)."""

    name: str
    parent: str
    child: str
    origin: np.ndarray
    axis: np.ndarray | None
    slides: bool


def read_joints(urdf: str) -> list[_Joint]:
    """All joints of a URDF text; ConfigError when it is none."""
    try:
        root = ET.fromstring(urdf)
    except ET.ParseError as error:
        raise ConfigError(f"robot description: not XML ({error}); expected a URDF text") from error
    found = []
    for joint in root.findall("joint"):
        origin, axis, kind = joint.find("origin"), joint.find("axis"), joint.get("type")
        xyz = _numbers(origin, "xyz", "0 0 0")
        rpy = _numbers(origin, "rpy", "0 0 0")
        found.append(
            _Joint(
                joint.get("name", ""),
                joint.find("parent").get("link"),
                joint.find("child").get("link"),
                se3.make(se3.rpy_matrix(*rpy), xyz),
                _numbers(axis, "xyz", "1 0 0") if kind in _MOVING else None,
                kind == "prismatic",
            )
        )
    return found


def _numbers(element: ET.Element | None, key: str, default: str) -> np.ndarray:
    return np.array([float(v) for v in (default if element is None else element.get(key, default)).split()])


class RobotFeed:
    """Publishes the frames of one arm."""

    def __init__(self, node: Node, urdf: str, description_topic: str, joints: tuple[str, ...], stamp_ns: int) -> None:
        """``joints``: those that `publish` is given; ConfigError when the URDF lacks one."""
        found = read_joints(urdf)
        by_name = {joint.name: joint for joint in found if joint.axis is not None}
        missing = [name for name in joints if name not in by_name]
        if missing:
            raise ConfigError(f"robot description: no joint {', '.join(missing)}, which the arm profile names")
        self._joints = [by_name[name] for name in joints]
        self._tf = node.create_publisher(TFMessage, "/tf", qos.TF)
        self._static = node.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self._description = node.create_publisher(String, description_topic, qos.LATCHED)
        self._description.publish(String(data=urdf))
        fixed = [(j.parent, j.child, j.origin) for j in found if j.axis is None]
        self._static.publish(transforms_to_tf(fixed, stamp_ns))

    def publish(self, q: np.ndarray, stamp_ns: int) -> None:
        """The moving frames at ``q`` (dof,) rad or m."""
        rows = [(j.parent, j.child, j.origin @ _motion(j, float(x))) for j, x in zip(self._joints, q, strict=True)]
        self._tf.publish(transforms_to_tf(rows, stamp_ns))


def _motion(joint: _Joint, x: float) -> np.ndarray:
    if joint.slides:
        return se3.make(np.eye(3), joint.axis * x)
    return se3.make(se3.exp_so3(joint.axis * x), np.zeros(3))
