"""`seegrasp bench stream`: how evenly poses reach a UR arm, and how soon a broken link is noticed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from arm_control.drivers.streaming.driver import ArmDriver
from arm_control.drivers.streaming.servo import ServoLimits
from arm_control.drivers.streaming.session import SessionSettings
from arm_control.drivers.ur.link import LinkSettings
from grasp_core.arm import ArmProfile
from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from grasp_sim.ur_controller.process import ControllerProcess

_READY = 20.0  # s
_TARGETS = 0.02  # s between new targets
_CIRCLE, _TURN = 0.05, 4.0  # m, s
_ENOUGH = 0.995  # of the periods within 1 ms
_NOTICED = 0.05  # s


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="seegrasp bench stream", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="how long to stream (60)")
    parser.add_argument("--address", default="127.0.0.3", metavar="IP", help="of the simulated controller (127.0.0.3)")
    parser.add_argument("--breaks", type=int, default=5, metavar="N", help="how often the cable is pulled (5)")
    parser.add_argument("--link-timeout", type=float, default=0.04, metavar="S", help="as of ur_driver_node (0.04)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Measure; 0 when everything keeps what is promised, else 1."""
    args = parse(argv)
    arm = ArmProfile.load("ur5e")
    link = LinkSettings(args.address, 5, args.link_timeout, Gripper.load("robotiq_2f85").T_flange_tcp)
    try:
        with ControllerProcess(args.address, "--realtime") as robot:
            settings = SessionSettings(link, arm.joints, np.array(arm.max_acceleration))
            driver = ArmDriver(settings, 2.0, lambda state: None, lambda line: print(f"  {line}", file=sys.stderr))
            try:
                even = _stream(driver, args.seconds)
                return 0 if _break(driver, robot, args.breaks) and even else 1
            finally:
                driver.close()
    except SeegraspError as error:
        print(f"seegrasp bench stream: {error}", file=sys.stderr)
        return 1


def _stream(driver: ArmDriver, seconds: float) -> bool:
    _await(lambda: not driver.problem)
    start = driver.state()
    motion = driver.servo(_limits(seconds), settle=0.0)
    begun = time.monotonic()
    while not motion.wait(_TARGETS) and time.monotonic() - begun < seconds:
        driver.aim(_on_circle(start.tcp, time.monotonic() - begun), time.monotonic())
    end = driver.update
    driver.cancel(motion)
    motion.wait(_READY)
    within = 1.0 - end.late / max(end.cycles, 1)
    robot_time = end.state.timestamp - start.timestamp
    expected = round(robot_time / driver.connection.period)
    print(f"streamed {end.cycles} poses in {robot_time:.2f} s of the robot's time, {expected} were due")
    print(f"periods within 1 ms of {driver.connection.period * 1e3:.0f} ms: {within:.3%} ({end.late} were not)")
    print(f"real-time priority: {'yes' if driver.connection.realtime else 'no'}")
    return within >= _ENOUGH


def _break(driver: ArmDriver, robot: ControllerProcess, count: int) -> bool:
    """Pull the cable while a pose is streamed; whether it was noticed in time, and the arm stood."""
    slowest = 0.0
    for _ in range(count):
        _await(lambda: not driver.problem)
        start = driver.state()
        motion = driver.servo(_limits(10.0), settle=0.0)
        begun = time.monotonic()
        while time.monotonic() - begun < 1.0:
            driver.aim(_on_circle(start.tcp, time.monotonic() - begun), time.monotonic())
            time.sleep(_TARGETS)
        robot.say("pull_cable")
        pulled = time.monotonic()
        motion.wait(_READY)
        slowest = max(slowest, time.monotonic() - pulled)
        _await(lambda: "still=True" in robot.say("state"))
        print(f"cable pulled: noticed after {(time.monotonic() - pulled) * 1e3:.0f} ms at most, and the arm stands")
        robot.say("plug_cable")
    print(f"slowest notice of {count}: {slowest * 1e3:.1f} ms")
    return slowest <= _NOTICED


def _limits(max_age: float) -> ServoLimits:
    box = np.full(3, 2.0)
    return ServoLimits(0.25, 1.0, 1.0, 4.0, -box, box, max_age, 0.001, 0.01)


def _on_circle(T: np.ndarray, t: float) -> np.ndarray:
    out, angle = T.copy(), 2 * np.pi * t / _TURN
    out[1, 3] += _CIRCLE * np.sin(angle)
    out[2, 3] += _CIRCLE * (np.cos(angle) - 1.0)
    return out


def _await(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _READY
    while not condition():
        if time.monotonic() > deadline:
            raise SeegraspError(f"not ready within {_READY:.0f} s")
        time.sleep(0.005)
