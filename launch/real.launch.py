"""ros2 launch seegrasp real.launch.py: what config/bringup/real.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the real bringup."""
    return describe("real")
