"""The program that runs on the controller: what ur_rtde's control script does, command by command.

The script itself is not interpreted. A script that is not ur_rtde's is refused with a message in the log, and so is
`move_path`. Numbers of the commands: ur_rtde 1.6, RTDE::RobotCommand::Type.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grasp_core.trajectory import State
from grasp_core.ur_modes import RuntimeState
from grasp_sim.ur_controller.kinematics import matrix, vector
from grasp_sim.ur_controller.motion import Motion, MotionError, MoveJ, MoveL, Servo, Speed

if TYPE_CHECKING:
    from grasp_sim.ur_controller.controller import Controller

_READY, _DONE = 1, 2  # what the script writes into its first output register
_CONTINUOUS = frozenset({6, 9, 10, 11, 24, 25, 26, 27, 38, 58, 66, 67, 68, 69, 70, 71})
_NOT_HERE = {6: "force_mode", 12: "servoc", 18: "teach_mode", 41: "jog", 45: "move_path", 51: "move_until_contact"}
_NO_OPERATION = frozenset({0, 7, 8, 17, 19, 20, 21, 25, 27, 28, 38, 42, 53, 55, 56, 57, 59, 62, 63, 64, 65, 99})
_LOOKAHEAD = (0.03, 0.2)  # s that servoj takes
_LOG = logging.getLogger(__name__)


class Program:
    """ur_rtde's control script, running or not. `step` is called once in every cycle of the controller."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._offset = 0  # of the registers
        self._executing = False  # a command that is not over until the client takes it back
        self._waiting_for: Motion | None = None
        self._watchdog = 0.0  # s, 0: none
        self.running = False
        self.ended = ""  # why the last one ended

    @property
    def runtime_state(self) -> int:
        """`runtime_state` of RTDE."""
        return RuntimeState.PLAYING if self.running else RuntimeState.STOPPED

    def load(self, script: str) -> None:
        """Run a script that came over the network."""
        if "def rtde_control" not in script:
            if script.strip().startswith("stop"):
                self.stop("stopped over the script interface")
            else:
                _LOG.error("script refused: only ur_rtde's control script runs here: %.60r", script)
            return
        offset = re.search(r"reg_offset_int = # int register offset\s*\n?\s*(\d+)", script)
        self._offset = int(offset[1]) if offset else 0
        self.stop("replaced by another program")
        self.running, self.ended = True, ""
        self._signal(_READY)

    def stop(self, why: str) -> None:
        """End the program; the arm comes to rest."""
        if not self.running:
            return
        _LOG.info("the program ends: %s", why)
        self.running, self.ended = False, why
        self._executing, self._waiting_for, self._watchdog = False, None, 0.0
        self._signal(0)
        if self._controller.arm.motion is not None:
            self._controller.arm.brake()

    def forget_motion(self) -> None:
        """The arm was put somewhere else: what was commanded counts no longer."""
        self._waiting_for = None
        self._controller.registers.in_int[self._offset] = 0

    def step(self) -> None:
        """One pass of the script's main loop."""
        if not self.running:
            return
        registers, time = self._controller.registers, self._controller.time
        if self._watchdog and time - registers.written.get(self._register, time) > self._watchdog:
            self.stop(f"RTDE watchdog: nothing was written to {self._register} for {self._watchdog * 1e3:.0f} ms")
            return
        if self._waiting_for is not None:
            if self._controller.arm.motion is not self._waiting_for:
                self._waiting_for = None
                self._signal(_DONE)
            return
        command = registers.in_int[self._offset]
        if command in _CONTINUOUS:
            self._run(command)
            if self.running:
                self._signal(_READY)
        elif command == 0:
            self._executing = False
            self._signal(_READY)
        elif not self._executing:
            self._executing = True
            self._run(command)
            if self.running and self._waiting_for is None:
                self._signal(_DONE)

    @property
    def _register(self) -> str:
        return f"input_int_register_{self._offset}"

    def _signal(self, value: int) -> None:
        self._controller.registers.out_int[self._offset] = value

    def _double(self, first: int, count: int = 6) -> np.ndarray:
        first += self._offset
        return np.array(self._controller.registers.in_double[first : first + count])

    def _answer(self, values: Sequence[float]) -> None:
        self._controller.registers.out_double[self._offset : self._offset + len(values)] = [float(v) for v in values]

    def _answer_int(self, value: int) -> None:
        self._controller.registers.out_int[self._offset + 1] = int(value)

    def _run(self, command: int) -> None:
        handler = _HANDLERS.get(command)
        if handler is not None:
            try:
                handler(self)
            except MotionError as error:
                self._controller.fail(error)
        elif command in _NOT_HERE:
            self.stop(f"{_NOT_HERE[command]} is not offered by this controller")
        elif command not in _NO_OPERATION:
            self.stop(f"unknown command {command}")

    def _start(self, motion: Motion) -> None:
        """A move: the client waits for its end, unless it is asynchronous."""
        arm = self._controller.arm
        arm.motion = motion
        if not self._controller.registers.in_int[self._offset + 1]:
            self._waiting_for = motion

    def _solve(self, target: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
        arm = self._controller.arm
        q = arm.kinematics.inverse(matrix(target), arm.setpoint.q if near is None else near)
        if q is None:
            raise MotionError("get_inverse_kin: unable to find an inverse kinematics solution", protective=False)
        return q

    def _move_j(self, target: np.ndarray) -> None:
        speed, acceleration = self._double(6, 2)
        self._start(MoveJ(self._standing(), target, max(speed, 1e-3), max(acceleration, 1e-3)))

    def _move_l(self, target: np.ndarray) -> None:
        speed, acceleration = self._double(6, 2)
        kinematics = self._controller.arm.kinematics
        self._start(MoveL(self._standing(), target, max(speed, 1e-3), max(acceleration, 1e-3), kinematics))

    def _standing(self) -> State:
        return State.at_rest(self._controller.arm.setpoint.q)

    def _servo(self, target: np.ndarray) -> None:
        arm = self._controller.arm
        lookahead = min(max(float(self._double(9, 1)[0]), _LOOKAHEAD[0]), _LOOKAHEAD[1])
        if isinstance(arm.motion, Servo):
            arm.motion.target, arm.motion.lookahead = target, lookahead
        else:
            arm.motion = Servo(arm.model, target, lookahead)

    def _speed(self, linear: bool) -> None:
        arm = self._controller.arm
        if not isinstance(arm.motion, Speed):
            arm.motion = Speed(arm.kinematics if linear else None)
        arm.motion.target, arm.motion.acceleration = self._double(0), float(self._double(6, 1)[0])

    def _brake(self) -> None:
        arm = self._controller.arm
        if arm.motion is not None:
            arm.brake(float(self._double(0, 1)[0]))
            self._waiting_for = arm.motion

    def _brake_maybe_async(self) -> None:
        self._brake()
        if self._controller.registers.in_int[self._offset + 1]:
            self._waiting_for = None

    def _set_tcp(self) -> None:
        self._controller.arm.kinematics.set_tcp(self._double(0))

    def _set_watchdog(self) -> None:
        frequency = float(self._double(0, 1)[0])
        self._watchdog = 1.0 / frequency if frequency > 0 else 0.0

    def _has_solution(self, near: bool) -> None:
        arm = self._controller.arm
        q = arm.kinematics.inverse(matrix(self._double(0)), self._double(6) if near else arm.setpoint.q)
        self._answer_int(q is not None)

    def _within_limits(self) -> None:
        self._answer_int((np.abs(self._double(0)) <= np.asarray(self._controller.model.position)).all())

    def _forward(self) -> None:
        arm = self._controller.arm
        self._answer(vector(arm.kinematics.forward(self._double(0), flange=True) @ matrix(self._double(6))))


_HANDLERS: dict[int, Callable[[Program], None]] = {
    1: lambda p: p._move_j(p._double(0)),
    2: lambda p: p._move_j(p._solve(p._double(0))),
    3: lambda p: p._move_l(matrix(p._double(0))),
    4: lambda p: p._move_l(p._controller.arm.kinematics.forward(p._double(0))),
    9: lambda p: p._speed(linear=False),
    10: lambda p: p._speed(linear=True),
    11: lambda p: p._servo(p._double(0)),
    15: Program._brake,
    16: Program._brake,
    24: lambda p: p._servo(p._solve(p._double(0))),
    26: lambda p: p._answer([1.0 / p._controller.model.rate]),
    29: Program._set_tcp,
    30: lambda p: p._answer(p._solve(p._double(0), p._double(6))),
    31: lambda p: p._controller.protective_stop("asked for by the program"),
    33: Program._brake_maybe_async,
    34: Program._brake_maybe_async,
    35: Program._set_watchdog,
    36: lambda p: p._has_solution(near=False),
    37: Program._within_limits,
    39: lambda p: p._answer(vector(matrix(p._double(0)) @ matrix(p._double(6)))),
    40: lambda p: p._answer(p._controller.arm.kinematics.tcp),
    43: lambda p: p._answer(vector(p._controller.arm.kinematics.forward(p._controller.arm.measured.q))),
    44: Program._forward,
    46: lambda p: p._answer(p._solve(p._double(0))),
    47: lambda p: p._answer_int(p._controller.arm.still),
    58: lambda p: p._answer(vector(p._controller.arm.kinematics.forward(p._controller.arm.measured.q, flange=True))),
    60: lambda p: p._has_solution(near=False),
    61: lambda p: p._has_solution(near=True),
    255: lambda p: p.stop("stopped by its client"),
}
