"""launch/*.launch.py: the nodes of the bringup files under `ros2 launch`, and their end."""

import importlib.util
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from seegrasp import launching
from seegrasp.bringup_config import NodePlan, load, resolve
from test.seegrasp import launch_api

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("sim", "perception", "replay", "ur5_realsense", "flexiv_realsense")
NEEDED = {"replay": {"bag": "some_bag"}}
WITH_DRIVERS = [
    ("ur5_realsense", {"start_drivers": "true", "robot_ip": "10.0.0.2", "kinematics_params_file": "/cell/ur5e.yaml"}),
    ("flexiv_realsense", {"start_drivers": "true", "robot_sn": "Rizon4-123456"}),
]
REAL = bool(importlib.util.find_spec("launch") and importlib.util.find_spec("launch_ros"))
VENDOR = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

def end(*_):
    time.sleep(1.0)  # a driver takes its time
    child.terminate()
    child.wait()
    sys.exit(0)

signal.signal(signal.SIGINT, end)
print(child.pid, flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """ROS 2's launch, or, where there is none, classes in its place that take the same arguments."""
    if not REAL:
        for name, module in launch_api.modules().items():
            monkeypatch.setitem(sys.modules, name, module)


def launched(name: str, **given: str) -> tuple[list, list]:
    """Declared arguments and started actions of launch/<name>.launch.py."""
    namespace: dict = {}
    exec((ROOT / "launch" / f"{name}.launch.py").read_text(), namespace)
    *arguments, function = namespace["generate_launch_description"]().args[0]
    defaults = {a.args[0]: a.kwargs["default_value"] for a in arguments}
    context = types.SimpleNamespace(launch_configurations=defaults | given)
    return arguments, function.kwargs["function"](context)


@pytest.mark.skipif(REAL, reason="looks into the classes that stand in for launch")
@pytest.mark.parametrize(("name", "given"), [*((n, NEEDED.get(n, {})) for n in SHIPPED), *WITH_DRIVERS])
def test_launch_files_start_the_same_nodes(name: str, given: dict[str, str]) -> None:
    arguments, actions = launched(name, **given)
    assert [a.args[0] for a in arguments] == list(load(name).arguments)
    assert all(a.kwargs["description"] for a in arguments)
    for action, plan in zip(actions, resolve(load(name), given), strict=True):
        if plan.module == "seegrasp.external":
            assert action.kwargs["cmd"] == list(plan.arguments)
        elif plan.arguments:
            assert action.kwargs["cmd"] == [sys.executable, "-m", plan.module, *plan.arguments]
        else:
            assert action.kwargs["executable"] == plan.executable
            assert action.kwargs["parameters"] == [dict(plan.parameters)]
            assert action.kwargs["namespace"] == (plan.namespace or None)


@pytest.mark.skipif(not REAL, reason="ROS 2's launch is not installed")
@pytest.mark.parametrize(("name", "given"), [*((n, NEEDED.get(n, {})) for n in SHIPPED), *WITH_DRIVERS])
def test_launch_takes_the_launch_files(name: str, given: dict[str, str]) -> None:
    assert all(launching.action(plan) is not None for plan in resolve(load(name), given))
    file = str(ROOT / "launch" / f"{name}.launch.py")
    told = subprocess.run(["ros2", "launch", file, "--show-args"], capture_output=True, text=True, check=True).stdout
    assert all(f"'{key}':" in told for key in load(name).arguments)


def test_what_a_vendors_launch_file_has_started_ends_with_it() -> None:
    """launch sends SIGINT to the process that it started, and not to its group."""
    plan = NodePlan("driver", "seegrasp.external", "", {}, {}, arguments=(sys.executable, "-c", VENDOR))
    process = subprocess.Popen(launching.command(plan), stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    try:
        process.wait(launching.PATIENCE_S)
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    finally:
        process.stdout.close()
        if Path(f"/proc/{child}").exists():
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(REAL, reason="looks into the classes that stand in for launch")
def test_a_vendors_launch_file_has_the_time_to_end_its_nodes() -> None:
    plan = NodePlan("driver", "seegrasp.external", "", {}, {}, arguments=("ros2", "launch", "a", "b"))
    inner = 5 + 5  # s: launch's own sigterm_timeout and sigkill_timeout
    assert float(launching.action(plan).kwargs["sigterm_timeout"]) > inner
