"""ros2 launch seegrasp perception.launch.py: what config/bringup/perception.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the perception bringup."""
    return describe("perception")
