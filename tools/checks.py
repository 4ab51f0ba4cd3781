"""What the machine must have before seegrasp can be set up; standard library only, Python 3.9 or newer.

Each check returns problems in words, with the command that mends them.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# CPython versions that every locked wheel exists for, the best tested first; MuJoCo 4 and numpy 2.4 end below 3.11.
WHEEL_PYTHONS = ((3, 11), (3, 12), (3, 13))
ROS_PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13))
FREE_DISK = 4 * 10**9  # bytes: 2 GB of libraries, the wheels while they unpack, the build

PROBE = """
import importlib.util, json, os, platform, sys, sysconfig
print(json.dumps({
    "executable": sys.executable, "version": list(sys.version_info[:2]),
    "implementation": platform.python_implementation(), "machine": platform.machine(),
    "venv": all(importlib.util.find_spec(m) is not None for m in ("venv", "ensurepip")),
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "rclpy": importlib.util.find_spec("rclpy") is not None,
    "colcon": importlib.util.find_spec("colcon_core") is not None}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python found on this machine."""

    executable: str
    version: tuple[int, int]
    implementation: str
    machine: str
    venv: bool
    headers: bool
    rclpy: bool
    colcon: bool

    @property
    def name(self) -> str:
        return f"python{self.version[0]}.{self.version[1]}"

    def problems(self, ros: str | None) -> list[str]:
        """Why this interpreter does not do, as commands or reasons; empty when it does."""
        allowed = ROS_PYTHONS if ros else WHEEL_PYTHONS
        found = []
        if self.implementation != "CPython" or self.version not in allowed:
            versions = ", ".join(f"{a}.{b}" for a, b in allowed)
            version = f"{self.implementation} {self.version[0]}.{self.version[1]}"
            return [f"{self.executable} is {version}, not CPython {versions}"]
        packages = []
        if not self.venv:
            packages.append(f"{self.name}-venv")
        if not self.headers:
            packages.append(f"{self.name}-dev")
        if packages:
            what = " and ".join(w for w, ok in (("the venv module", self.venv), ("Python.h", self.headers)) if not ok)
            found.append(f"{self.executable} lacks {what}: sudo apt install {' '.join(packages)}")
        if ros and not self.rclpy:
            found.append(f"{self.executable} cannot import rclpy of ROS {ros}: sudo apt install ros-{ros}-rclpy")
        if ros and not self.colcon:
            found.append(f"{self.executable} has no colcon: sudo apt install python3-colcon-common-extensions")
        return found


def probe(executable: str) -> Interpreter | None:
    """Ask an interpreter what it is; None when it does not run (such as a pyenv shim of a version not chosen)."""
    env = {k: v for k, v in os.environ.items() if k not in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "VIRTUAL_ENV")}
    try:
        done = subprocess.run([executable, "-c", PROBE], env=env, capture_output=True, text=True, timeout=20)
        fields = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return Interpreter(**{**fields, "version": tuple(fields["version"])}) if fields else None


def candidates(ros: str | None, env: Mapping[str, str]) -> list[str]:
    """Where to look for an interpreter, in order of preference. $PYTHON decides alone."""
    if env.get("PYTHON"):
        return [env["PYTHON"]]
    if ros:
        return ["/usr/bin/python3", "python3"]
    names = [f"python{a}.{b}" for a, b in WHEEL_PYTHONS]
    pyenv = Path(env.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    pyenvs = [str(p / "bin" / "python") for n in names for p in sorted(pyenv.glob(n[len("python") :] + ".*"))]
    return [*names, "python3", *("/usr/bin/" + n for n in names), "/usr/bin/python3", *pyenvs]


def choose_interpreter(found: Iterable[Interpreter], ros: str | None) -> tuple[Interpreter | None, list[str]]:
    """The interpreter to use, or None and why none of those found does."""
    found = list(dict.fromkeys(found))
    for interpreter in found:
        if not interpreter.problems(ros):
            return interpreter, []
    allowed = ROS_PYTHONS if ros else WHEEL_PYTHONS
    right_version = [i for i in found if i.version in allowed]
    reasons = right_version[0].problems(ros) if right_version else [r for i in found for r in i.problems(ros)]
    if not right_version:
        versions = " ".join(f"{a}.{b}" for a, b in allowed)
        reasons.append(
            f"no CPython of {versions} on the PATH: sudo apt install python3 python3-venv python3-dev "
            "(Debian 12 or newer, Ubuntu 24.04 or newer), or name one: make setup PYTHON=/path/to/python3.11"
        )
    return None, reasons


def find_interpreter(ros: str | None, env: Mapping[str, str] = os.environ) -> tuple[Interpreter | None, list[str]]:
    """Look for a Python to build the environment with; stops at the first that does."""
    found = []
    for name in candidates(ros, env):
        if shutil.which(name) is None:
            continue
        interpreter = probe(name)
        if interpreter is None:
            continue
        if not interpreter.problems(ros):
            return interpreter, []
        found.append(interpreter)
    return choose_interpreter(found, ros)


def check_platform(system: str = sys.platform, machine: str | None = None) -> list[str]:
    machine = machine or platform.machine()
    if system != "linux" or machine not in ("x86_64", "AMD64"):
        return [f"this is {system} on {machine}; the locked packages exist for Linux on x86-64 only"]
    return []


def check_tools(which=shutil.which) -> list[str]:
    """Programs that building needs."""
    packages = {"git": "git", "g++": "g++", "cmake": "cmake", "make": "make"}
    missing = [name for name in packages if which(name) is None]
    if not missing:
        return []
    return [f"missing {', '.join(missing)}: sudo apt install {' '.join(packages[m] for m in missing)}"]


def check_egl(load=ctypes.CDLL) -> list[str]:
    """MuJoCo draws the camera pictures with EGL, on the CPU where there is no GPU."""
    try:
        load("libEGL.so.1")
    except OSError:
        return ["missing libEGL.so.1 for rendering: sudo apt install libegl1 libgl1-mesa-dri"]
    return []


def check_disk(root: Path, free: int | None = None) -> list[str]:
    free = shutil.disk_usage(root).free if free is None else free
    if free < FREE_DISK:
        return [f"{free / 1e9:.1f} GB free at {root}; setting up needs {FREE_DISK / 1e9:.0f} GB: make room"]
    return []


COMPAT = ("tf2_msgs", "control_msgs", "object_recognition_msgs", "octomap_msgs", "moveit_msgs")  # interfaces/compat


def missing_compat(prefixes: str, names: Iterable[str] = COMPAT) -> list[str]:
    """Interface packages that none of the ament prefixes (AMENT_PREFIX_PATH) supplies, so that ours must be built."""
    index = "share/ament_index/resource_index/packages"
    roots = [Path(p) for p in prefixes.split(":") if p]
    return [name for name in names if not any((root / index / name).exists() for root in roots)]
