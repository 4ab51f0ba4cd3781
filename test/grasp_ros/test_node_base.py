"""Parameters, diagnostics and the life of a node process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from grasp_core.errors import ConfigError
from grasp_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Faults, RateMeter, Report
from grasp_ros.params import Params
from test.grasp_ros.kit import rclpy_with, spinning, wait_until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys, threading
from rclpy.node import Node
from std_msgs.msg import String
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
FAIL = False
class Little(Node):
    def __init__(self):
        super().__init__("little")
        params = Params(self)
        params.declare("rate", 5.0, "Hz", min=0.1, max=10.0)
        params.check_unknown()
        self.out, self.closing = self.create_publisher(String, "out", 1), threading.Event()
        self.worker = threading.Thread(target=self.work)
        self.worker.start()
        if FAIL:
            self.create_timer(0.05, lambda: 1 / 0)
        print("ready", flush=True)
    def work(self):
        while not self.closing.is_set():
            self.out.publish(String(data="busy"))
    def close(self):
        self.closing.set()
        self.worker.join()
        print("closed", flush=True)
sys.exit(run_node(lambda: [Little(), Node("data")] , threads=2))
"""


@pytest.fixture
def declare(ros_domain):
    """Call with ROS arguments: gives Params of a fresh node."""
    nodes, contexts = [], []

    def make(*args):
        context = rclpy_with(args)
        context.__enter__()
        contexts.append(context)
        nodes.append(Node("little"))
        return Params(nodes[-1])

    yield make
    for node in nodes:
        node.destroy_node()
    for context in contexts:
        context.__exit__(None, None, None)


def test_defaults_overrides_and_free_parameters(declare):
    params = declare("-p", "rate:=5", "-p", "name:=x", "-p", "xs:=[1.0, 2.0]", "-p", "plugin.k:=3")
    assert params.declare("rate", 1.0, "an integer is a float too", min=0.0, max=10.0) == 5.0
    assert params.declare("name", "y", "text", choices=("x", "y")) == "x"
    assert params.declare("xs", [0.0], "list") == [1.0, 2.0]
    assert params.declare("flag", True, "default") is True
    assert params.free("plugin") == {"k": 3}
    params.check_unknown()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rate:=20.0", r"'rate' of node /little is 20.0 \(float\): expected a number in \[0, 10\]"),
        ("rate:=.nan", r"nan.*expected a number"),
        ("rate:=fast", r"'fast' \(str\): expected a float"),
        ("name:=z", "one of 'x', 'y'"),
        ("count:=1.5", "expected a int"),
        ("ratte:=1.0", "no parameter 'ratte'; it has: count, name, rate"),
    ],
)
def test_wrong_and_unknown_parameters(declare, override, words):
    params = declare("-p", override)
    with pytest.raises(ConfigError, match=words):
        declare_all(params)


def declare_all(params):
    params.declare("rate", 1.0, "Hz", min=0.0, max=10.0)
    params.declare("name", "y", "text", choices=("x", "y"))
    params.declare("count", 1, "number", min=0)
    params.check_unknown()


def start(*args, script=SCRIPT):
    command = [sys.executable, "-c", script, *args]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_node_cleanly(ros_domain, number):
    process = start()
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "closed\n")
    assert "Traceback" not in err


def test_a_callback_that_raises_ends_the_process_with_its_traceback(ros_domain):
    process = start(script=SCRIPT.replace("FAIL = False", "FAIL = True"))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ZeroDivisionError" in err
    assert out.endswith("closed\n")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--ros-args", "-p", "rate:=99.0"], "expected a number in [0.1, 10]"),
        (["--ros-args", "-p", "speed:=1.0"], "no parameter 'speed'"),
        (["--ros-args", "-p", "rate"], "bad ROS arguments"),
        (["--fast"], "unknown argument(s) --fast"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_1(ros_domain, args, words):
    process = start(*args)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert words in err.strip().splitlines()[-1]
    assert "Traceback" not in err


def test_diagnostics_carry_faults(ros_domain):
    with rclpy_with():
        node, listener = Node("little"), Node("listener")
        got = []
        listener.create_subscription(DiagnosticArray, "/diagnostics", got.append, 10)
        diagnostics, faults = Diagnostics(node, period_s=0.1), Faults(node)
        faults.add("stale", ERROR, "too old: check the clock")
        faults.add("slow", WARN, "lower the rate")

        def report():
            made = Report(OK, values={"rate": 15.0, "counts": faults.counts()})
            faults.apply(made)
            return made

        diagnostics.add("input", report, hardware_id="camera")
        with spinning(node, listener):
            status = wait_until(lambda: got)[0].status[0]
    assert (status.name, status.level, status.hardware_id) == ("little: input", ERROR, "camera")
    assert status.message == "stale: too old: check the clock; slow: lower the rate"
    assert {v.key: v.value for v in status.values}["rate"] == "15"


def test_a_status_that_changes_is_told_before_its_time(ros_domain):
    level = [OK]
    with rclpy_with():
        node = Node("little")
        diagnostics = Diagnostics(node, period_s=3600.0)
        diagnostics.add("input", lambda: Report(level[0]))
        told = []
        diagnostics._publisher = SimpleNamespace(publish=lambda msg: told.append(msg.status[0].level))
        for now in (OK, OK, ERROR, ERROR, OK):
            level[0] = now
            diagnostics._look()
    assert told == [OK, ERROR, OK]


def test_rate_meter():
    meter = RateMeter(window_s=1.0)
    assert meter.rate() == 0.0
    for _ in range(5):
        meter.tick()
    assert meter.total == 5
    assert meter.rate() > 4.0
    assert meter.idle_s() < 1.0
