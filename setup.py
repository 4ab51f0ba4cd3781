"""The ROS package seegrasp: all Python packages of the repository, the nodes as executables, config/ and launch/."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGES = ("arm_control", "grasp_*", "hand_eye", "seegrasp", "view_planner")
NODES = {
    "sim_node": "grasp_sim",
    "camera_node": "grasp_perception",
    "detector_node": "grasp_perception",
    "arm_node": "arm_control",
    "pick_node": "arm_control",
    "ur_driver_node": "arm_control",
    "flexiv_driver_node": "arm_control",
    "hand_eye_node": "hand_eye",
}


def share(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below a folder, for share/seegrasp, as setuptools' data_files."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    parents = sorted({p.parent for p in files})
    return [(f"share/seegrasp/{parent}", [str(p) for p in files if p.parent == parent]) for parent in parents]


setup(
    name="seegrasp",
    version="0.1.0",
    packages=find_packages(include=[*PACKAGES, *(p + ".*" for p in PACKAGES)]),
    package_data={"grasp_eval.report": ["*.j2"], "grasp_perception.dense": ["shipped/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/seegrasp"]),
        ("share/seegrasp", ["package.xml"]),
        *share("config"),
        *share("launch"),
    ],
    entry_points={
        "console_scripts": [
            *(f"{name} = {package}.nodes.{name}:main" for name, package in NODES.items()),
            "seegrasp = seegrasp.__main__:main",
            "ur_controller = grasp_sim.ur_controller.__main__:main",
        ]
    },
    zip_safe=False,
    author="seegrasp maintainers",
    license="Apache-2.0",
    description="Depth in, 7-DoF grasps out, the arm picks: a grasping stack for ROS 2.",
)
