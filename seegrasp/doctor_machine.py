"""The doctor's checks of machine, installation and files; nothing needs to run."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.camera import CameraProfile
from grasp_core.cell import Cell
from grasp_core.config import config_dir
from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from seegrasp import bringup_config
from seegrasp.doctor import Finding, ok, problem

PYTHONS = ((3, 10), (3, 13))  # oldest and newest that the lock files serve
LIBRARIES = ("torch", "mujoco", "pinocchio", "coal", "ompl", "toppra", "scipy", "trimesh", "rosbags", "mcap")
INTERFACES = (
    "seegrasp_msgs.action",
    "tf2_msgs.msg",
    "control_msgs.action",
    "sensor_msgs.msg",
    "visualization_msgs.msg",
)
SETUP = "make setup"


def check_python() -> list[Finding]:
    """Version, and whether it is the environment that `make setup` made."""
    version = ".".join(map(str, sys.version_info[:3]))
    low, high = ("{}.{}".format(*v) for v in PYTHONS)
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return [problem("python", f"{version} at {sys.executable}", f"use CPython {low} to {high}: {SETUP}")]
    if sys.prefix == sys.base_prefix:
        return [problem("python", f"{version} at {sys.executable} is not the project's", "run bin/seegrasp doctor")]
    return [ok("python", f"{version} at {sys.executable}")]


def check_ros() -> list[Finding]:
    """Rclpy, and where it comes from."""
    try:
        module = importlib.import_module("rclpy")
    except ImportError as error:
        return [problem("ros", f"rclpy cannot be imported: {error}", f"{SETUP}, or source your ROS 2 first")]
    distro = os.environ.get("ROS_DISTRO")
    if distro:
        return [ok("ros", f"{distro}, rclpy in {Path(module.__file__).parent}")]
    version = importlib.metadata.version("rclpy")
    return [ok("ros", f"Kilted as wheels, rclpy {version}")]


def check_interfaces() -> list[Finding]:
    """Message packages, ours and others'."""
    missing = []
    for name in INTERFACES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
    if missing:
        return [problem("interfaces", "; ".join(missing), f"{SETUP} builds them; then start through bin/seegrasp")]
    return [ok("interfaces", ", ".join(sorted({n.split(".")[0] for n in INTERFACES})))]


def check_libraries() -> list[Finding]:
    """Python libraries, by their import; torch's and MuJoCo's own errors are told."""
    broken = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            broken.append(f"{name}: {error}")
    if broken:
        return [problem("libraries", "; ".join(broken), SETUP)]
    return [ok("libraries", ", ".join(LIBRARIES))]


def check_rendering() -> list[Finding]:
    """What the simulator's cameras draw with."""
    backend = os.environ.get("MUJOCO_GL", "")
    library = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}.get(backend)
    if library is None:
        return [problem("rendering", f"MUJOCO_GL is {backend!r}", "run through bin/seegrasp, or export MUJOCO_GL=egl")]
    try:
        ctypes.CDLL(library)
    except OSError as error:
        package = "libegl1 libgl1-mesa-dri" if backend == "egl" else "libosmesa6"
        return [problem("rendering", f"MUJOCO_GL={backend}: {error}", f"sudo apt install {package}")]
    return [ok("rendering", f"MUJOCO_GL={backend}, {library}")]


def check_gpu() -> list[Finding]:
    """The GPU is a help, not a need."""
    import torch

    if torch.cuda.is_available():
        return [ok("gpu", f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}")]
    if shutil.which("nvidia-smi"):
        return [ok("gpu", f"there is one, but torch {torch.__version__} is the CPU build; everything runs on the CPU")]
    return [
        ok("gpu", f"none; everything runs on the CPU (torch {torch.__version__}, {torch.get_num_threads()} threads)")
    ]


def check_profiles() -> list[Finding]:
    """Every shipped profile and bringup loads."""
    kinds: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("arms", lambda name: ArmProfile.load(name).urdf_path.read_bytes()),
        ("grippers", Gripper.load),
        ("cameras", CameraProfile.load),
        ("boards", Board.load),
        ("cells", Cell.load),
        ("bringup", bringup_config.load),
    )
    findings = []
    for kind, load in kinds:
        names = sorted(p.stem for p in (config_dir() / kind).glob("*.yaml"))
        errors = []
        for name in names:
            try:
                load(name)
            except (SeegraspError, OSError) as error:
                errors.append(str(error))
        if errors or not names:
            what = "; ".join(errors) or f"no {kind} in {config_dir()}"
            findings.append(problem(f"config/{kind}", what, "mend the file: the message names the key"))
        else:
            findings.append(ok(f"config/{kind}", ", ".join(names)))
    return findings


def check_dds_settings() -> list[Finding]:
    """The settings that large messages need."""
    rmw = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if rmw != "rmw_fastrtps_cpp":
        return [ok("dds settings", f"{rmw}: config/fastdds.xml does not apply; see the transport below")]
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    todo = "run through bin/seegrasp, or export FASTDDS_DEFAULT_PROFILES_FILE=<repository>/config/fastdds.xml"
    if not profile:
        return [problem("dds settings", "FASTDDS_DEFAULT_PROFILES_FILE is not set", todo)]
    if not Path(profile).is_file():
        return [problem("dds settings", f"FASTDDS_DEFAULT_PROFILES_FILE={profile} does not exist", todo)]
    domain, reach = os.environ.get("ROS_DOMAIN_ID", "0"), os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    return [ok("dds settings", f"{profile}, domain {domain}, discovery {reach}")]


def check_dds_transport() -> list[Finding]:
    """A real message of 1 MB, best effort, from another process."""
    from seegrasp import loopback

    result = loopback.measure()
    size = f"{loopback.SIZE / 1e6:g} MB best effort between two processes"
    if result.received < loopback.WANTED:
        todo = "use config/fastdds.xml (run through bin/seegrasp); look for room in /dev/shm (df -h /dev/shm)"
        return [problem("dds transport", f"{size}: {result.received} of {loopback.WANTED} messages arrived", todo)]
    return [ok("dds transport", f"{size}: {result.latency_ms:.1f} ms; first after {result.first_s:.1f} s")]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_python,
    check_ros,
    check_interfaces,
    check_libraries,
    check_rendering,
    check_gpu,
    check_profiles,
    check_dds_settings,
    check_dds_transport,
)
