"""The packages that stand in for a ROS installation's are the same on the wire: pinned type hashes (REP-2011).

Sources: TFMessage's hash is recorded in rosbag2 files of ROS 2 installations (metadata.yaml, type_description_hash).
The hashes of GripperCommand, and of FollowJointTrajectory's goal and result, are those in code generated from upstream
control_msgs. FollowJointTrajectory's feedback has its two indices since control_msgs 6.3 (Kilted). Those of
moveit_msgs, octomap_msgs and object_recognition_msgs are those in type descriptions and code generated from upstream
(moveit_msgs as of Jazzy and Kilted), but for GetMotionPlan, whose request and response are. The other hashes are ours,
pinned so that they change only on purpose.
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
    "object_recognition_msgs/msg/ObjectType": "5eb3ee3976403366d7c50d7dbee8bec96b3bced1e752674a7194a35841632134",
    "octomap_msgs/msg/Octomap": "9891a19a05b70ec20aa8f45db3f8300b9ab80afff32c61c549d25087da9625b0",
    "octomap_msgs/msg/OctomapWithPose": "e65f8760aa96a2acef86b6d206175cfc78420082b6159dd3fa6ebf93f5f81979",
    "moveit_msgs/msg/MotionPlanRequest": "f82ed20da5f8f93146999c1a3cfe34b56b97fc10333b40cac69782a1210888d7",
    "moveit_msgs/msg/MotionPlanResponse": "bc0dc15c0462edc942dc45dc689cd1a1b1a64c1412002a2e8d210eff2477d62a",
    "moveit_msgs/msg/MoveItErrorCodes": "dcda8a9950cf6dd6ac221c2c0d2509f52f136afa0403dd19beacdf07e83e4a07",
    "moveit_msgs/msg/PlanningScene": "0f58540ad5eab4b9ea827d53b763c793d8cabd202b3b301fcee25afa4ce1bd80",
    "moveit_msgs/msg/RobotState": "7c516dc15713e545cb2836c5ca745fbdcfcc10de4855a41c83e6b4bf1afc3f83",
    "moveit_msgs/msg/RobotTrajectory": "af1dc87fb94d13e5f233e9c210d2662fa06143a8b3c6aec47c57ad45074fcce8",
    "moveit_msgs/srv/ApplyPlanningScene": "8e6134783db0987c0acedbfd2f16f608a8f7a54e83a7bbb372e851af419f4d72",
    "moveit_msgs/srv/GetCartesianPath": "b19f501df5d378141d918199894c3ad24533e76021a880b15dc5d62fec8d7b1a",
    "moveit_msgs/srv/GetMotionPlan": "0e118e1d8d53d5fea8eea309fc06a58239fa0e617864127e7de8399ab7335b27",
    "moveit_msgs/srv/GetMotionPlan_Request": "607f444bd22f6ed971c85c76a1fdd44cc556d6bcc0f1d501449bb01aef7df60a",
    "moveit_msgs/srv/GetMotionPlan_Response": "b5980d78fafab3a2c20a85d2cb306e1f9fe06ef3d49fa7a47803f229fb89f5a2",
    "moveit_msgs/srv/GetPlanningScene": "7ed7e96238b902174d985b0eb739ea08c95377e8e46a6a9014c22497faf79cd2",
    "moveit_msgs/srv/GetPositionFK": "2f16ec361a135d84b85a29385abeb9eeb025e39c09038bd6b2826645edc7edad",
    "moveit_msgs/srv/GetPositionIK": "054ed6f6f71a09b01b5246c5d80beb4dacc6f444f58df039849c76292933e9e3",
    "moveit_msgs/srv/GetStateValidity": "e9fcd24ae0fd8c2f16d4afe397efaf03427d1f899fe91ecf6cb7f7f1c6ca8720",
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


def test_constants_of_moveit_messages() -> None:
    from moveit_msgs.msg import CollisionObject, ContactInformation, OrientationConstraint, PlanningSceneComponents

    values = [int.from_bytes(getattr(CollisionObject, n), "little") for n in ("ADD", "REMOVE", "APPEND", "MOVE")]
    assert values == [0, 1, 2, 3]
    names = ("ROBOT_LINK", "WORLD_OBJECT", "ROBOT_ATTACHED")
    assert [getattr(ContactInformation, n) for n in names] == [0, 1, 2]
    assert (OrientationConstraint.XYZ_EULER_ANGLES, OrientationConstraint.ROTATION_VECTOR) == (0, 1)
    names = ("SCENE_SETTINGS", "ROBOT_STATE", "ROBOT_STATE_ATTACHED_OBJECTS", "WORLD_OBJECT_NAMES")
    names += ("WORLD_OBJECT_GEOMETRY", "OCTOMAP", "TRANSFORMS", "ALLOWED_COLLISION_MATRIX")
    names += ("LINK_PADDING_AND_SCALING", "OBJECT_COLORS")
    assert [getattr(PlanningSceneComponents, n) for n in names] == [2**i for i in range(10)]
