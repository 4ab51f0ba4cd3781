"""The arrows of the architecture, read off the imports of every file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("grasp_core", "grasp_ros", "grasp_perception", "view_planner", "arm_control", "hand_eye", "grasp_sim")
EVALUATION = ("grasp_learning", "grasp_eval")
ROS = (
    *("rclpy", "tf2_ros", "tf2_py", "launch", "launch_ros", "message_filters", "ament_index_python"),
    *("seegrasp_msgs", "tf2_msgs", "control_msgs", "sensor_msgs", "geometry_msgs", "std_msgs", "diagnostic_msgs"),
    *("trajectory_msgs", "visualization_msgs", "rosgraph_msgs", "builtin_interfaces", "rcl_interfaces", "action_msgs"),
    *("moveit", "moveit_msgs", "octomap_msgs", "shape_msgs"),
)
FORBIDDEN = {
    "grasp_core": (
        *ROS,
        "torch",
        "grasp_ros",
        "grasp_perception",
        "view_planner",
        "arm_control",
        "hand_eye",
        "grasp_sim",
        "seegrasp",
    ),
    "grasp_ros": ("grasp_perception", "view_planner", "arm_control", "grasp_sim", "hand_eye", "seegrasp"),
    "grasp_perception": ("view_planner", "arm_control", "grasp_sim", "hand_eye", "seegrasp"),
    "view_planner": ("grasp_perception", "arm_control", "grasp_sim", "hand_eye", "seegrasp"),
    "arm_control": ("grasp_perception", "view_planner", "grasp_sim", "hand_eye", "seegrasp"),
    "hand_eye": ("grasp_perception", "view_planner", "arm_control", "grasp_sim", "seegrasp"),
    "grasp_sim": ("grasp_perception", "view_planner", "arm_control", "hand_eye", "seegrasp"),
    "grasp_eval": ("grasp_learning",),
    "grasp_learning": (*ROS, "grasp_ros", "view_planner", "arm_control", "hand_eye", "seegrasp"),
    "seegrasp": EVALUATION,  # its commands name them as text and import them when called
}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every absolute import, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module.split(".")[0]


def violations(package: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in imports(path.read_text(encoding="utf-8"))
        if name in forbidden
    ]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows(package: str) -> None:
    assert not violations(package, FORBIDDEN[package])


@pytest.mark.parametrize("package", OURS)
def test_run_time_imports_neither_learning_nor_evaluation(package: str) -> None:
    assert not violations(package, EVALUATION)


@pytest.mark.parametrize("package", ["grasp_perception", "view_planner", "arm_control", "hand_eye", "grasp_sim"])
def test_ros_stays_in_the_nodes(package: str) -> None:
    inner = [v for v in violations(package, ROS) if not {"nodes", "drivers"} & set(Path(v.split(":")[0]).parts)]
    assert not inner, "messages become arrays once, in nodes/ (and drivers/), through grasp_ros"


def test_finds_a_violation() -> None:
    assert list(imports("def f():\n    from torch.nn import Module\n    import rclpy.node")) == [
        (2, "torch"),
        (3, "rclpy"),
    ]
