"""How fast a stop stops the simulated arm: `python -m grasp_eval.bench_stop --trials 50`.

The simulator, arm_node and pick_node run as processes of their own. In every trial the arm moves between two poses; at
a random moment of the motion, once it is fast, the service is called. Measured on the steady clock, from the call on:
`answer` until the service has answered, `reaction` until the joint states show the arm slower than 90 % of the fastest
since the call, `standstill` until every joint is slower than 0.02 rad/s (the arm's deceleration is part of it). Joint
states come every 10 ms. `--how guard` kills arm_node instead, and pick_node stops the arm: `--heartbeat` s later at the
earliest, and then there is no answer.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from seegrasp_msgs.action import MoveTo
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_eval.demo import free_domain
from grasp_ros import qos
from seegrasp.bringup import Bringup

TARGET_MS = 100.0  # of the reaction
FAST = 0.3  # rad/s: in motion
STILL = 0.02  # rad/s
SLOWER = 0.9  # of the fastest since the call
PATIENCE_S = 60.0
LEASE_S = 6.0  # until DDS has forgotten a process that was killed (config/fastdds.xml)
HOW = ("stop", "pause", "guard")


@dataclass
class Trial:
    """Speeds (s after the call, rad/s) of one trial, and when the service had answered, s."""

    speeds: list[tuple[float, float]] = field(default_factory=list)
    answer: float = math.nan

    def times_ms(self) -> dict[str, float]:
        """`answer`, `reaction` and `standstill`, ms; NaN where it never came."""
        fastest, reaction, standstill = 0.0, math.nan, math.nan
        for t, speed in self.speeds:
            fastest = max(fastest, speed)
            if math.isnan(reaction) and speed < SLOWER * fastest:
                reaction = t
            if math.isnan(standstill) and speed < STILL:
                standstill = t
        return {k: v * 1e3 for k, v in (("answer", self.answer), ("reaction", reaction), ("standstill", standstill))}


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile, largest and number of the finite values."""
    found = sorted(v for v in values if not math.isnan(v))
    if not found:
        return {"median": math.nan, "p95": math.nan, "max": math.nan, "n": 0}
    rank = max(math.ceil(0.95 * len(found)) - 1, 0)
    return {"median": found[len(found) // 2], "p95": found[rank], "max": found[-1], "n": len(found)}


class Bench:
    """Client of a running stack."""

    def __init__(self, bringup: Bringup, node: Node) -> None:
        self._bringup, self.node = bringup, node
        self._arm = ArmProfile.load(Cell.load("bin_picking").arm)
        self._poses = [[pan, *self._arm.poses["home"][1:]] for pan in (-1.2, 1.2)]  # over the bin, to and fro
        self._speed, self._trial, self._called = 0.0, None, 0.0
        self._changed = threading.Condition()
        node.create_subscription(JointState, self._arm.driver.joint_states, self._on_joints, qos.SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self._able = False
        self._move = ActionClient(node, MoveTo, "move_to")
        self._words = {w: node.create_client(Trigger, f"arm_node/{w}") for w in ("stop", "pause", "resume")}
        self._arming = node.create_client(SetBool, "arm_node/arm")

    def _on_joints(self, msg: JointState) -> None:
        now = time.monotonic()
        speeds = dict(zip(msg.name, msg.velocity, strict=True))
        with self._changed:
            self._speed = max(abs(speeds[name]) for name in self._arm.joints)
            if self._trial is not None:
                self._trial.speeds.append((now - self._called, self._speed))
            self._changed.notify_all()

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "arm_node: state":
                self._able = status.level != DiagnosticStatus.ERROR

    def wait(self, condition, what: str) -> None:
        """Until `condition()`; SystemExit names what never came."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while not condition():
                if time.monotonic() > end:
                    raise SystemExit(
                        f"bench_stop: no {what} within {PATIENCE_S:.0f} s; logs in {self._bringup.log_dir}"
                    )
                self._changed.wait(0.02)

    def done(self, future, what: str):
        """The result of a future."""
        self.wait(future.done, what)
        return future.result()

    def ready(self) -> None:
        """All is there, and armed."""
        self._able = False
        self.wait(lambda: self._able, "arm_node without an error on /diagnostics")
        self.wait(self._move.server_is_ready, "action move_to")
        self.wait(lambda: all(c.service_is_ready() for c in (*self._words.values(), self._arming)), "services")
        asked = [self._arming.call_async(SetBool.Request(data=True))]

        def answered() -> bool:  # a killed node stays in the graph for a while: what is sent to it is lost
            if time.monotonic() - self._asked > 1.0:
                self._asked = time.monotonic()
                asked.append(self._arming.call_async(SetBool.Request(data=True)))
            return any(future.done() for future in asked)

        self._asked = time.monotonic()
        self.wait(answered, "answer of ~/arm")

    def trial(self, index: int, how: str, delay: float) -> Trial:
        """Move, call, and record until the arm stands."""
        goal = MoveTo.Goal(target_type=MoveTo.Goal.JOINTS, joints=self._poses[index % 2])
        handle = self.done(self._move.send_goal_async(goal), "answer to move_to")
        result = handle.get_result_async()
        self.wait(lambda: self._speed > FAST or result.done(), "motion")
        if result.done() and result.result().result.error_code:
            raise SystemExit(f"bench_stop: move_to: {result.result().result.error_msg}")
        time.sleep(delay)
        trial = Trial()
        with self._changed:
            self._called, self._trial = time.monotonic(), trial
        self._end(how, trial)
        self.wait(lambda: trial.speeds and trial.speeds[-1][1] < STILL, "standstill")
        self._trial = None
        self._recover(how, result)
        return trial

    def _end(self, how: str, trial: Trial) -> None:
        if how == "guard":
            os.killpg(self._bringup.pid("arm_node"), signal.SIGKILL)
            return
        answer = self._words[how].call_async(Trigger.Request())
        self.done(answer, f"answer of ~/{how}")
        trial.answer = time.monotonic() - self._called

    def _recover(self, how: str, result) -> None:
        if how == "guard":
            self._bringup.restart("arm_node")
            time.sleep(LEASE_S)
        elif how == "pause":
            self.done(self._words["resume"].call_async(Trigger.Request()), "answer of ~/resume")
        if how != "guard":
            self.done(result, "end of move_to")
        self.ready()


def table(results: dict[str, dict[str, float]]) -> str:
    """The spreads as text."""
    lines = [f"{'ms after the call':<18}{'median':>9}{'p95':>9}{'max':>9}{'n':>5}"]
    lines += [f"{k:<18}{s['median']:>9.0f}{s['p95']:>9.0f}{s['max']:>9.0f}{s['n']:>5}" for k, s in results.items()]
    return "\n".join(lines)


def run(how: str, trials: int, seed: int, heartbeat: float, log_dir: Path) -> dict[str, dict[str, float]]:
    """Start the processes, run the trials; the spread of each time, ms."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
    settings = ["objects:=1", "noise:=false", "sim_node.overhead:=false", f"pick_node.heartbeat_timeout:={heartbeat}"]
    bringup = Bringup.load("sim", log_dir, settings, without=("camera_node", "detector_node"))
    rclpy.init()
    node = Node("bench_stop")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    rng, times = random.Random(seed), []
    try:
        with bringup:
            bench = Bench(bringup, node)
            bench.ready()
            for index in range(trials):
                trial = bench.trial(index, how, rng.uniform(0.0, 0.3))
                if trial.speeds[0][1] > FAST:  # else it had arrived before the call
                    times.append(trial.times_ms())
                print(f"\rtrial {index + 1} of {trials}", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)
        executor.shutdown(timeout_sec=2.0)
        thread.join(2.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return {key: spread([t[key] for t in times]) for key in ("answer", "reaction", "standstill")}


def main() -> int:
    """0 when 95 % of the reactions are within the target; with `--how guard`, within a heartbeat and the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--how", choices=HOW, default="stop", help="service of arm_node; guard: arm_node is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the calls")
    parser.add_argument("--heartbeat", type=float, default=0.5, help="s without a sign of life until the guard acts")
    parser.add_argument("--json", type=Path, help="write the result here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = run(args.how, args.trials, args.seed, args.heartbeat, Path(folder))
    print(table(results))
    target = TARGET_MS + (args.heartbeat * 1e3 if args.how == "guard" else 0.0)
    met = results["reaction"]["p95"] <= target
    print(f"target: 95 % of the reactions within {target:.0f} ms: {'met' if met else 'not met'}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"how": args.how, "trials": args.trials, "ms": results}, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
