"""One grasp of the free hand: straight approach, close, lift, shake about two axes, hold; and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grasp_core import se3
from grasp_sim.hand_world import CHUNK, HandWorld, Watch
from grasp_sim.surroundings import TIME_STEP

SETTLE = 0.06  # s that the hand stands still after a motion
ARRIVED = 0.010  # m; farther from its target the hand was stopped by something
PUSH = 25.0  # N: meeting more than this on its way the hand stops where it is, as a guarded move does
INSIDE = 0.001  # m; a hand that would start deeper in something is not let go
CLOSE_LIMIT = 3.0  # s
RAMP = 0.15  # s from standing still to full speed
LIFT_SPEED = 0.25  # m/s
SHAKES = 2  # swings about each axis
SHAKE_ANGLE = np.deg2rad(15.0)
SHAKE_PERIOD = 0.5  # s; with 15 deg: 41 rad/s2, 4 m/s2 at 10 cm
HOLD = 0.3  # s
MOVED = 0.01  # m


@dataclass(frozen=True)
class HandMotion:
    """How a grasp is executed; m, m/s, rad. See the benchmark's protocols for the meaning.

    lift_above: a hand tilted by at most this from straight down draws back along its approach, a steeper one goes up.
    touch: "fail": touching something before closing ends the attempt; "start": only where the approach starts;
    "record": it is written down only.
    contact: "push": the hand goes on against at most PUSH and is blocked where it meets more; "stop": it stops at the
    first contact and closes there.
    """

    approach: float = 0.05
    retreat: float = 0.10
    speed: float = 0.10
    lift_above: float = 0.0
    shake: bool = True
    touch: str = "record"
    contact: str = "push"


@dataclass
class Trace:
    """What happened.

    Attributes:
        start_touched, touched: what the hand touched at the start of the approach, and until it closed.
        forbidden: whether that ended the attempt. blocked: why the hand did not arrive, or empty.
        gripped, lifted, held: what touched both fingers after closing, after the lift, at the end.
        opening: m between the pads when closed. slip: m that the first of `held` moved in the hand since closing.
        moved: objects that were shifted by more than 1 cm and are not held; what was dropped is among them.
        penetration, unphysical: see Watch.
    """

    start_touched: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    forbidden: bool = False
    blocked: str = ""
    gripped: list[str] = field(default_factory=list)
    lifted: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    opening: float | None = None
    slip: float | None = None
    moved: list[str] = field(default_factory=list)
    penetration: float = 0.0
    unphysical: str = ""


def attempt(world: HandWorld, T_base_grasp: np.ndarray, width: float, motion: HandMotion) -> Trace:
    """Grasp at (4, 4) with the fingers ``width`` m apart; the hand stays where it ends, with what it holds."""
    return _Attempt(world, np.asarray(T_base_grasp, float), motion).run(width)


class _Attempt:
    def __init__(self, world: HandWorld, T: np.ndarray, motion: HandMotion) -> None:
        self.world, self.T, self.motion = world, T, motion
        self.watch, self.trace = Watch(), Trace()
        self.at = np.zeros(3)  # where the hand was sent last, in the carriage's frame

    def run(self, width: float) -> Trace:
        world, trace = self.world, self.trace
        before = world.object_poses()
        for stage in (lambda: self._start(width), self._approach, self._close, self._lift, self._shake):
            if not stage() or self.watch.unphysical:
                break
        trace.unphysical, trace.penetration = self.watch.unphysical, self.watch.penetration
        after = world.object_poses()
        others = [name for name in after if name not in trace.held]
        trace.moved = [n for n in others if np.linalg.norm(after[n][:3, 3] - before[n][:3, 3]) > MOVED]
        return trace

    def _start(self, width: float) -> bool:
        world, trace, back = self.world, self.trace, self.motion.approach
        world.place_hand(self.T, width, back)
        self.at = np.array([0.0, 0.0, -back])
        bodies, depths = world.contacts_of_hand()
        trace.start_touched = world.names(bodies)
        if len(depths) and depths.max() > INSIDE:
            deepest = world.names([bodies[int(depths.argmax())]])[0]
            trace.blocked = f"the hand would start {1e3 * depths.max():.0f} mm inside {deepest}"
            return False
        trace.forbidden = bool(trace.start_touched) and self.motion.touch != "record"
        return not trace.forbidden

    def _approach(self) -> bool:
        world, trace = self.world, self.trace
        self._go(np.zeros(3), self.motion.speed, guarded=True)
        world.run(SETTLE, self.watch)
        trace.touched = world.names(self.watch.touched)
        error = float(np.linalg.norm(world.data.qpos[world.parts.slide_qpos]))
        if error > ARRIVED and self.motion.contact == "push":
            trace.blocked = f"the hand stops {1e3 * error:.0f} mm before the grasp"
        trace.forbidden = bool(trace.touched) and self.motion.touch == "fail"
        return not (trace.blocked or trace.forbidden)

    def _close(self) -> bool:
        world, trace = self.world, self.trace
        command = world.servo.move(world.gripper.min_width)
        for _ in range(round(CLOSE_LIMIT / (CHUNK * TIME_STEP))):
            world.run(CHUNK * TIME_STEP, self.watch)
            if command.done or self.watch.unphysical:
                break
        trace.opening, trace.gripped = world.width, world.held()
        self.in_hand = self._in_hand()
        return bool(trace.gripped)

    def _lift(self) -> bool:
        upwards, back = self.T[2, :3] * self.motion.retreat, np.array([0.0, 0.0, -self.motion.retreat])
        tilt = np.arccos(np.clip(-self.T[2, 2], -1.0, 1.0))
        self._go(upwards if tilt > self.motion.lift_above else back, LIFT_SPEED)
        self.world.run(SETTLE, self.watch)
        return self._still_held("lifted")

    def _shake(self) -> bool:
        if self.motion.shake:
            for axis in (0, 1):
                self._swing(axis)
                if self.watch.unphysical:
                    return False
        self.world.run(HOLD, self.watch)
        good = self._still_held("held")
        if good:
            now, name = self._in_hand(), self.trace.held[0]
            if name in self.in_hand:
                self.trace.slip = float(np.linalg.norm(now[name][:3, 3] - self.in_hand[name][:3, 3]))
        return good

    def _still_held(self, what: str) -> bool:
        held = self.world.held()
        setattr(self.trace, what, held)
        return bool(held)

    def _in_hand(self) -> dict[str, np.ndarray]:
        """Poses of all objects in the grasp frame."""
        T_hand_base = se3.inverse(self.world.T_base_hand())
        return {name: T_hand_base @ pose for name, pose in self.world.object_poses().items()}

    def _go(self, target: np.ndarray, speed: float, guarded: bool = False) -> None:
        """Straight to a place in the carriage's frame, with trapezoidal speed; guarded: until something stops it."""
        world, way = self.world, target - self.at
        length = float(np.linalg.norm(way))
        if length < 1e-9:
            return
        ramp = min(RAMP, length / speed)
        total = length / speed + ramp
        dt = CHUNK * TIME_STEP
        for t in np.arange(dt, total + dt, dt):
            s, v = _trapezoid(min(float(t), total), speed, ramp, total)
            world.drive(self.at + way * (s / length), np.zeros(3), way * (v / length))
            world.run(dt, self.watch)
            if self.watch.unphysical:
                return
            if guarded and self._stopped():
                target = self.at + way * (s / length)
                break
        world.drive(target, np.zeros(3))
        self.at = target

    def _stopped(self) -> bool:
        """Whether something on the way stops the hand."""
        if self.motion.contact == "stop":
            return bool(self.watch.touched)
        return self.world.push() > PUSH

    def _swing(self, axis: int) -> None:
        """Turn the hand to and fro about one of its axes, smoothly from and to standing still."""
        total, dt, omega = SHAKES * SHAKE_PERIOD, CHUNK * TIME_STEP, 2 * np.pi / SHAKE_PERIOD
        for t in np.arange(dt, total + dt / 2, dt):
            fade = min(1.0, float(t) / (SHAKE_PERIOD / 4), float(total - t) / (SHAKE_PERIOD / 4))
            turn, rate = np.zeros(3), np.zeros(3)
            turn[axis] = SHAKE_ANGLE * fade * np.sin(omega * t)
            rate[axis] = SHAKE_ANGLE * fade * omega * np.cos(omega * t)
            self.world.drive(self.at, turn, None, rate)
            self.world.run(dt, self.watch)
            if self.watch.unphysical:
                return
        self.world.drive(self.at, np.zeros(3))


def _trapezoid(t: float, speed: float, ramp: float, total: float) -> tuple[float, float]:
    """Way (m) and speed (m/s) at time t of a motion that speeds up and slows down within ``ramp`` s each."""
    if t < ramp:
        return speed * t * t / (2 * ramp), speed * t / ramp
    if t > total - ramp:
        left = total - t
        return speed * (total - ramp) - speed * left * left / (2 * ramp), speed * left / ramp
    return speed * (t - ramp / 2), speed
