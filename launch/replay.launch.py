"""ros2 launch seegrasp replay.launch.py: what config/bringup/replay.yaml describes."""

from seegrasp.launching import describe


def generate_launch_description():
    """The nodes and arguments of the replay bringup."""
    return describe("replay")
