"""ros2 launch seegrasp flexiv_realsense.launch.py: what config/bringup/flexiv_realsense.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the flexiv_realsense bringup."""
    return describe("flexiv_realsense")
