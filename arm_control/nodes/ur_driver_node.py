"""ur_driver_node: a UR arm and a Robotiq gripper on its controller, behind the interfaces of ur_robot_driver's world.

See `driver_base`, and docs/NODES.md. The robot itself is talked to by `arm_control.drivers.ur`.
"""

from __future__ import annotations

import sys
from typing import Any

from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.gripper import GripperDevice
from arm_control.drivers.ur.link import LinkSettings
from arm_control.drivers.ur.robotiq import RobotiqGripper
from arm_control.nodes.driver_base import THREADS, DriverNode
from grasp_core.errors import ConfigError
from grasp_ros.runtime import run_node


class UrDriverNode(DriverNode):
    """See the module."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("ur_driver_node", **node_options)
        params = self._params
        self._host = params.declare("robot_ip", "", "address of the robot's controller")
        ur_type = params.declare("ur_type", "", "ur3, ur5, ur10 (CB3), or ur3e, ur5e, ur10e …; empty: the arm profile")
        timeout = params.declare("link_timeout", 0.04, "s without data until the link counts as lost", 0.01)
        silence = params.declare("session_timeout", 2.0, "s until a connection that hangs is ended by force", 0.2)
        lookahead = params.declare("servo_lookahead", 0.03, "s, lookahead_time of servoj", 0.03, 0.2)
        gain = params.declare("servo_gain", 2000.0, "gain of servoj", 100.0, 2000.0)
        self._robotiq = params.declare("robotiq", True, "whether a Robotiq gripper hangs on the controller")
        self._gripper_init = params.declare(
            "gripper_init", False, "activate a Robotiq that is not active: its fingers open and close at the start"
        )
        params.check_unknown()
        if not self._host:
            raise ConfigError("parameter 'robot_ip' of ur_driver_node is empty: give the robot's address")
        series = _series(ur_type or self._arm.name)
        link = LinkSettings(self._host, series, timeout, self._gripper.T_flange_tcp, lookahead, gain)
        self._start(link, silence, self._host)

    def _make_gripper(self) -> GripperDevice | None:
        if not self._robotiq:
            return None
        return RobotiqGripper(self._host, self._gripper, self.get_logger().warning, self._gripper_init)

    def _about(self, connection: m.Connected, update: m.Update | None) -> dict[str, Any]:
        values: dict[str, Any] = {"polyscope": connection.version}
        if update is not None:
            values |= {
                "robot_mode": update.state.robot_mode.name,
                "safety_mode": update.state.safety_mode.name,
            }
        return values


def _series(ur_type: str) -> int:
    """3 of a CB3, 5 of an e-Series; ConfigError on a name that is none of Universal Robots'."""
    if not (ur_type.startswith("ur") and ur_type[2:].removesuffix("e").isdigit()):
        raise ConfigError(f"{ur_type!r} is no arm of Universal Robots: set parameter 'ur_type' to ur5, ur5e, …")
    return 5 if ur_type.endswith("e") or int(ur_type[2:]) > 10 else 3


def main() -> int:
    """Entry point."""
    return run_node(UrDriverNode, threads=THREADS)


if __name__ == "__main__":
    sys.exit(main())
