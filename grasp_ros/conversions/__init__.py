"""Every conversion between ROS messages and the arrays of `grasp_core`.

Reading is strict: a message that contradicts itself (size, encoding, byte order, NaN, non-unit quaternion) raises
`InputError`, which says what was found, what is supported and where. Reading never copies more than once.
"""

from grasp_ros.conversions.cameras import camera_from_info, distortion_pixels, info_from_camera
from grasp_ros.conversions.clouds import cloud_to_msg, msg_to_cloud
from grasp_ros.conversions.geometry import (
    box_to_region,
    matrix_to_pose,
    matrix_to_transform,
    pose_to_matrix,
    region_to_box,
    transform_to_matrix,
    transforms_to_tf,
)
from grasp_ros.conversions.grasps import grasps_to_msg, msg_to_grasps
from grasp_ros.conversions.images import array_to_image, depth_to_metres, image_to_array, image_to_rgb
from grasp_ros.conversions.stamps import ns_to_stamp, stamp_to_ns, timings_from_msgs, timings_to_msgs

__all__ = [
    "array_to_image",
    "box_to_region",
    "camera_from_info",
    "cloud_to_msg",
    "depth_to_metres",
    "distortion_pixels",
    "grasps_to_msg",
    "image_to_array",
    "image_to_rgb",
    "info_from_camera",
    "matrix_to_pose",
    "matrix_to_transform",
    "msg_to_cloud",
    "msg_to_grasps",
    "ns_to_stamp",
    "pose_to_matrix",
    "region_to_box",
    "stamp_to_ns",
    "timings_from_msgs",
    "timings_to_msgs",
    "transform_to_matrix",
    "transforms_to_tf",
]
