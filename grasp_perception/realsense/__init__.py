"""RealSense cameras and recordings without realsense-ros: depth aligned to colour, rectified, stamped by the host.

A `DepthSource` starts, hands out `DepthFrame`s and stops; `Keeper` runs one in a thread, notices lost frames and brings
it back. Nothing here knows ROS; pyrealsense2 is imported when a source is made.
"""

from grasp_perception.realsense.camera import RealSense
from grasp_perception.realsense.keeper import Keeper, Trouble
from grasp_perception.realsense.recording import Recording
from grasp_perception.realsense.settings import Mode, Settings
from grasp_perception.realsense.source import DepthFrame, DepthSource, EndOfRecording, SourceError

__all__ = [
    "DepthFrame",
    "DepthSource",
    "EndOfRecording",
    "Keeper",
    "Mode",
    "RealSense",
    "Recording",
    "Settings",
    "SourceError",
    "Trouble",
]
