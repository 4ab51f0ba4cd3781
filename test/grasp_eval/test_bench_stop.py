"""Arithmetic of the benchmarks of stopping and of bringing up."""

import math

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from grasp_eval.bench_bringup import waiting_for
from grasp_eval.bench_stop import Trial, spread, table


def test_reaction_and_standstill_are_read_off_the_speeds():
    speeds = [(0.00, 1.0), (0.01, 1.1), (0.02, 1.2), (0.03, 1.19), (0.04, 1.0), (0.05, 0.5), (0.06, 0.01), (0.07, 0.0)]
    times = Trial(speeds, answer=0.004).times_ms()
    assert times == pytest.approx({"answer": 4.0, "reaction": 40.0, "standstill": 60.0})


def test_an_arm_that_goes_on_has_no_reaction():
    times = Trial([(0.01 * k, 1.0 + 0.01 * k) for k in range(10)]).times_ms()
    assert all(math.isnan(v) for v in times.values())


def test_spread():
    assert spread([float(v) for v in range(1, 21)]) == {"median": 11.0, "p95": 19.0, "max": 20.0, "n": 20}
    assert spread([math.nan])["n"] == 0
    assert "reaction" in table({"reaction": spread([10.0, 20.0])})


def test_a_node_is_ready_when_nothing_is_wrong_with_it():
    ok, warn, error = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
    statuses = {
        "arm_node: state": DiagnosticStatus(level=warn, message="not armed"),
        "sim_node: physics": DiagnosticStatus(level=ok),
        "sim_node: cameras": DiagnosticStatus(level=error, message="no OpenGL"),
    }
    nodes = ["arm_node", "sim_node", "pick_node"]
    assert waiting_for(nodes, statuses) == {"sim_node": "no OpenGL", "pick_node": "silent"}
