"""The whole stack, started once for all tests of a module."""

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.node import Node

from grasp_core.cell import Cell
from seegrasp.bringup import Bringup
from test.domains import own_domain
from test.system.rig import Rig

SETTINGS = (
    "objects:=2",
    "seed:=1",
    "noise:=true",
    "sim_node.families:=[box, cylinder]",  # what fails here is to be the fault that a test makes
    "pick_node.recovery_timeout:=300.0",  # a node's start takes as long as the machine makes it
)


DRIVERS = {
    "simulator": (),  # sim_node takes trajectories
    "ur_rtde": ("ur_rtde:=true",),  # ur_driver_node takes them; ur_rtde and a UR controller are between it and the arm
}


# What else is tested here fails above the driver; faults of the link have tests of their own.
THROUGH_UR = ("test_one_object_from_depth_to_the_tray", "test_cancelling_stops_the_arm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The rig with every driver where that matters, else with the simulator's."""
    if "rig" in metafunc.fixturenames:
        drivers = list(DRIVERS) if metafunc.function.__name__ in THROUGH_UR else ["simulator"]
        metafunc.parametrize("rig", drivers, indirect=True, scope="module")


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The processes of config/bringup/sim.yaml in a ROS domain of their own, and their client."""
    with own_domain():
        bringup = Bringup.load("sim", tmp_path_factory.mktemp("logs"), (*SETTINGS, *DRIVERS[request.param]))
        rclpy.init()
        node = Node("system_test")
        try:
            with bringup:
                rig = Rig(bringup, node, Cell.load("bin_picking"))
                yield rig
                rig.client.close()
        finally:
            node.destroy_node()
            rclpy.try_shutdown()
