"""flexiv_driver_node: a Flexiv Rizon and its gripper through the RDK, behind the interfaces of flexiv_ros2's world.

See `driver_base`, and docs/NODES.md. The robot itself is talked to by `arm_control.drivers.flexiv`.
"""

from __future__ import annotations

import sys
from typing import Any

from arm_control.drivers.flexiv import rdk
from arm_control.drivers.flexiv.link import RizonSettings
from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.gripper import ArmsGripper, GripperDevice
from arm_control.nodes.driver_base import THREADS, DriverNode
from grasp_core.errors import ConfigError
from grasp_ros.runtime import run_node


class FlexivDriverNode(DriverNode):
    """See the module."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("flexiv_driver_node", **node_options)
        params = self._params
        serial = params.declare("robot_sn", "", "serial number of the robot, such as Rizon4-123456")
        timeout = params.declare("link_timeout", 0.2, "s without data until the link counts as lost", 0.02)
        silence = params.declare("session_timeout", 5.0, "s until a connection that hangs is ended by force", 1.0)
        tracking = params.declare(
            "tracking", 3.0, "the robot follows each target with so many times the profile's acceleration", 1.0, 10.0
        )
        self._moves_gripper = params.declare("rdk_gripper", True, "whether the RDK moves the gripper")
        name = params.declare("gripper_name", "Flexiv-GN01", "the gripper's name in Flexiv Elements, Settings, Device")
        init = params.declare(
            "gripper_init", False, "initialize the gripper (48 V Grav): its fingers move at the start"
        )
        params.check_unknown()
        if not serial:
            raise ConfigError("parameter 'robot_sn' of flexiv_driver_node is empty: give the robot's serial number")
        rdk.require()
        link = RizonSettings(
            serial,
            timeout,
            self._arm,
            self._arm.urdf_path.read_text(encoding="utf-8"),
            self._gripper.T_flange_tcp,
            tracking,
            self._gripper if self._moves_gripper else None,
            name,
            init,
        )
        self._start(link, silence, serial)

    def _make_gripper(self) -> GripperDevice | None:
        return ArmsGripper(self._driver) if self._moves_gripper else None

    def _about(self, connection: m.Connected, update: m.Update | None) -> dict[str, Any]:
        values: dict[str, Any] = {"software": connection.version}
        if update is not None:
            values |= {"status": update.state.status, "mode": update.state.mode}
        return values


def main() -> int:
    """Entry point."""
    return run_node(FlexivDriverNode, threads=THREADS)


if __name__ == "__main__":
    sys.exit(main())
