"""The parameters of detector_node."""

from __future__ import annotations

from typing import Any

from grasp_perception.detectors import DEFAULT
from grasp_ros.params import Params


def declare(params: Params) -> dict[str, Any]:
    """Declare them and return name -> value; ConfigError on a bad one."""
    d = params.declare
    return {
        "cell": d("cell", "bin_picking", "cell profile: workspace, base frame, cameras, gripper"),
        "gripper": d("gripper", "", "gripper profile; empty: the cell's"),
        "detector": d("detector", DEFAULT, "built-in detector or package.module:factory"),
        "detector_python": d("detector_python", "", "Python to run it in, in a process of its own; empty: in the node"),
        "camera": d("camera", "camera", "namespace of the camera in the cell profile that gives the viewpoint"),
        "camera_frame": d("camera_frame", "", "frame of the viewpoint; empty: that camera's optical frame"),
        "autostart": d("autostart", True, "configure and activate without a lifecycle manager"),
        "continuous": d("continuous", 0.0, "detections per second without being asked; 0: off", 0.0, 100.0),
        "region": d("region", "pick", "where continuous detection looks", choices=("pick", "workspace")),
        "max_grasps": d("max_grasps", 500, "grasps in a result at most when a goal does not say; 0: all", min=0),
        "min_score": d("min_score", 0.0, "lowest score of continuous detection", 0.0, 1.0),
        "max_age": d("max_age", 1.0, "older clouds are stale, s of ROS time", 0.01, 600.0),
        "max_future": d("max_future", 0.1, "tolerated lead of cloud stamps over ROS time, s", 0.0, 60.0),
        "cloud_timeout": d("cloud_timeout", 5.0, "how long a goal waits for a cloud, s of steady time", 0.0, 600.0),
        "detect_timeout": d("detect_timeout", 20.0, "a detector that takes longer has failed, s", 0.1, 3600.0),
        "voxel": d("voxel", 0.005, "voxels that larger clouds are reduced to, m", 0.001, 0.1),
        "max_points": d("max_points", 60000, "clouds of more points in the workspace are reduced", min=1),
        "torch_threads": d("torch_threads", 2, "threads of torch", 1, 256),
    }
