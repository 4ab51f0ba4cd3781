"""The RDK's two published ways to be called: one arm (1.8, 1.9), and groups of joints (2.x).

Source: flexivrobotics/flexiv_rdk, include/flexiv/rdk and example_py at v1.8 to v2.0.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from arm_control.drivers.streaming.faults import LinkFault
from grasp_core.errors import ConfigError

NAME = "flexivrdk"
JOINTS, POSES = "NRT_JOINT_POSITION", "NRT_CARTESIAN_MOTION_FORCE"
_DOF = 7


def require() -> None:
    """ConfigError where the RDK is not installed."""
    if importlib.util.find_spec(NAME) is None:
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        raise ConfigError(
            f"no package {NAME} for {sys.executable} ({python}): install it with `pip install {NAME}`, of the version "
            "that fits the robot's software. Flexiv publishes wheels for Python 3.10, 3.12 and 3.14 only, the first "
            "two those of ROS Humble and Jazzy; with another Python drive the arm through flexiv_ros2"
        )


class Rizon:
    """One connection.

    Raises:
        LinkFault: the RDK does not load, nobody answers, no licence, versions that do not fit, external axes.
    """

    def __init__(self, serial: str) -> None:
        self.rdk = _load()
        try:
            self.robot = self.rdk.Robot(serial)
            info = self.robot.info()
        except (RuntimeError, ValueError) as error:
            raise LinkFault(
                f"no connection to robot {serial!r}: {' '.join(str(error).split())}; is it on and booted, is the "
                "serial number right, is RDK enabled and licensed in Flexiv Elements, is this machine in its network?"
            ) from error
        self.version = str(info.software_ver)
        self.velocity = [float(v) for v in info.dq_max]
        self._group = self.rdk.JointGroup.ARMS if hasattr(self.rdk, "JointGroup") else None
        states = self.states()
        if len(states.q) != _DOF:
            raise LinkFault(f"the robot has {len(states.q)} joints: this driver moves one arm of {_DOF}, without axes")
        if not hasattr(states, "timestamp"):
            raise LinkFault(f"{NAME} is too old: 1.8 or newer is needed, and the robot's software that fits it")

    def states(self) -> Any:
        """`RobotStates` of the arm; LinkFault where there are none."""
        states = self.robot.states()
        if self._group is None:
            return states
        if self._group not in states:
            raise LinkFault(f"the robot tells no joint group ARMS, only {sorted(str(group) for group in states)}")
        return states[self._group]

    def switch(self, mode: str) -> None:
        """Into a control mode; RuntimeError when the robot refuses. Takes up to a second."""
        if self.robot.mode().name != mode:
            self.robot.SwitchMode(getattr(self.rdk.Mode, mode))

    def send_joints(self, q: list[float], max_velocity: list[float], max_acceleration: list[float]) -> None:
        """Go to joints and rest there: a link that breaks leaves an arm that stops by itself; RuntimeError."""
        rest = [0.0] * len(q)
        if self._group is None:
            self.robot.SendJointPosition(q, rest, max_velocity, max_acceleration)
        else:
            command = self.rdk.NrtJointPositionCmd(q, rest, max_velocity, max_acceleration)
            self.robot.SendJointPosition({self._group: command})

    def send_pose(self, pose: list[float], limits: tuple[float, float, float, float]) -> None:
        """Go to a pose of the robot's TCP [x, y, z, qw, qx, qy, qz] in its world; RuntimeError.

        ``limits``: m/s, rad/s, m/s^2, rad/s^2.
        """
        none = [0.0] * 6
        if self._group is None:
            self.robot.SendCartesianMotionForce(pose, none, none, *limits)
        else:
            self.robot.SendCartesianMotionForce({self._group: self.rdk.NrtCartesianCmd(pose, none, none, *limits)})


def _load() -> ModuleType:
    try:
        return importlib.import_module(NAME)
    except ImportError as error:
        raise LinkFault(f"{NAME} does not load: {error}") from error
