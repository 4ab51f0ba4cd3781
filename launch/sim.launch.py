"""ros2 launch seegrasp sim.launch.py: what config/bringup/sim.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the sim bringup."""
    return describe("sim")
