"""ros2 launch seegrasp ur5_realsense.launch.py: what config/bringup/ur5_realsense.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the ur5_realsense bringup."""
    return describe("ur5_realsense")
