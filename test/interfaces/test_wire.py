"""The packages that stand in for a ROS installation's are the same on the wire: pinned type hashes (REP-2011).

Sources: TFMessage's hash is recorded in rosbag2 files of ROS 2 installations (metadata.yaml, type_description_hash).
The hashes of GripperCommand, and of FollowJointTrajectory's goal and result, are those in code generated from upstream
control_msgs. FollowJointTrajectory's feedback has its two indices since control_msgs 6.3 (Kilted); the other hashes
are ours, pinned so that they change only on purpose.
"""

import json
import os
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory

TRAJECTORY = "control_msgs/action/FollowJointTrajectory"
HASHES = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "control_msgs/msg/GripperCommand": "57eb8f326c9889ca8bb34ead82cc94cc09bf6bc5c3b6c09546dca3a00b589890",
    "control_msgs/msg/JointTolerance": "c254f9cece0f3b733017b6990fd46d1326e25242d6b8844398c97d9a88e7d648",
    "control_msgs/msg/JointComponentTolerance": "739ea7566931944d33830fa10f1bf5e7a7fbdc3172bce7a7eaac642bd6e3ffa4",
    "control_msgs/action/GripperCommand": "e17c0e644eccf14bea84a0a93e0977182872c2eb7873ca6694900059b46dbc84",
    "control_msgs/action/ParallelGripperCommand": "adfd3c1ebe8abc38ebcc0e454b6423d291d4010dd5697d14eca5b9be4726ae18",
    f"{TRAJECTORY}_Goal": "8a9060704b269608f5a340934cc26e66869dd14bdac29e2e7fd9ec8b9882d205",
    f"{TRAJECTORY}_Result": "8002e99ed2c14c6faa522f2a93c26d744c5982f254f9e98ff9c6f19789bdb220",
    f"{TRAJECTORY}_Feedback": "0bb018d181bdc6384dd75365480967bd1d6eaee4ef3dd597c64cd0b8bdc10867",
}
NEWER_THAN_JAZZY = (f"{TRAJECTORY}_Feedback",)


def built_hash(name: str) -> str:
    package, kind, type_name = name.split("/")
    file = Path(get_package_share_directory(package)) / kind / f"{type_name.split('_')[0]}.json"
    if not file.exists():
        pytest.skip(f"{package} of this ROS installation has no type descriptions (before Iron)")
    for entry in json.loads(file.read_text())["type_hashes"]:
        if entry["type_name"] == name:
            return entry["hash_string"]
    raise AssertionError(f"{file} does not describe {name}")


@pytest.mark.parametrize("name", HASHES)
def test_type_hash_is_upstreams(name: str) -> None:
    if name in NEWER_THAN_JAZZY and os.environ.get("ROS_DISTRO") in ("iron", "jazzy"):
        pytest.skip("the feedback has no indices before Kilted")
    assert built_hash(name) == f"RIHS01_{HASHES[name]}"


def test_tf_message_is_the_one_in_recorded_bags(real_data: Path) -> None:
    metadata = yaml.safe_load((real_data / "bags" / "ycb_table" / "metadata.yaml").read_text())
    topics = [t["topic_metadata"] for t in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]]
    recorded = {t["type"]: t["type_description_hash"].strip() for t in topics}
    assert recorded["tf2_msgs/msg/TFMessage"] == built_hash("tf2_msgs/msg/TFMessage")


def test_constants_of_the_trajectory_result() -> None:
    from control_msgs.action import FollowJointTrajectory
    from control_msgs.msg import JointComponentTolerance

    result = FollowJointTrajectory.Result
    names = ("SUCCESSFUL", "INVALID_GOAL", "INVALID_JOINTS", "OLD_HEADER_TIMESTAMP")
    names += ("PATH_TOLERANCE_VIOLATED", "GOAL_TOLERANCE_VIOLATED")
    assert [getattr(result, n) for n in names] == [0, -1, -2, -3, -4, -5]
    axes = ("X_AXIS", "Y_AXIS", "Z_AXIS", "TRANSLATION", "ROTATION")
    assert [getattr(JointComponentTolerance, n) for n in axes] == [1, 2, 3, 4, 5]
