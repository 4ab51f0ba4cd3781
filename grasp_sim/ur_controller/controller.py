"""The controller: its servers around one arm, advanced cycle by cycle, and everything that can go wrong with it."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np

from grasp_core.trajectory import State
from grasp_core.ur_modes import SafetyMode
from grasp_sim.ur_controller import dashboard, gripper, rtde
from grasp_sim.ur_controller.arm import Arm
from grasp_sim.ur_controller.lines import TextServer
from grasp_sim.ur_controller.models import UrModel, Version
from grasp_sim.ur_controller.motion import MotionError
from grasp_sim.ur_controller.program import Program
from grasp_sim.ur_controller.registers import Registers
from grasp_sim.ur_controller.safety import Safety

SCRIPT_PORT = 30003
_LOG = logging.getLogger(__name__)


class Controller:
    """One robot on the network: listens on ``address`` from the start; `cycle` lets time go on.

    ur_rtde cannot be told another port, so every instance takes a loopback address of its own (127.0.0.2, …).
    Everybody but the cycle's thread holds ``lock``.
    """

    def __init__(
        self,
        model: UrModel,
        address: str = "127.0.0.2",
        q: np.ndarray | None = None,
        version: Version | None = None,
        fingers: gripper.Fingers | None = None,
    ) -> None:
        """``q`` (6,) rad at the start (the model's home); ``version`` of PolyScope (the model's). OSError: no port."""
        self.lock = threading.RLock()
        self.model, self.address = model, address
        self.version = version or model.version
        self.period = 1.0 / model.rate
        self.time = 0.0  # s since the start
        self.arm = Arm(model, q)
        self.safety = Safety()
        self.registers = Registers()
        self.program = Program(self)
        self._cycle = 0
        self._cable = True
        self.rtde = rtde.RtdeServer(self, address)
        self.dashboard = dashboard.Dashboard(self, address).server
        self.script = TextServer(address, SCRIPT_PORT, self._take_script)
        self.gripper = gripper.GripperServer(self, fingers or gripper.FreeFingers(), address)

    def close(self) -> None:
        """End all connections."""
        self.rtde.close()
        for server in (self.dashboard, self.script, self.gripper.server):
            server.close()

    def cycle(self, measured: State | None = None) -> State:
        """One period: inputs, program, motion, outputs; the new set point.

        ``measured``: where the plant is; None: an arm that follows perfectly.
        """
        with self.lock:
            self._cycle += 1
            self.time = self._cycle * self.period
            if self._cable:
                self.rtde.receive()
            self.program.step()
            before = self.arm.setpoint
            try:
                self.arm.step(self.period, self.registers.slider)
            except MotionError as error:
                self.fail(error)
            if measured is None:
                q = self.arm.setpoint.q
                measured = State(q, (q - before.q) / self.period, np.zeros(6))
            self.arm.measured = measured
            self.gripper.fingers.step(self.period)
            if self._cable:
                self.rtde.send(self._cycle)
            return self.arm.setpoint

    def place(self, q: np.ndarray) -> None:
        """Put the arm somewhere else at once: a new scene of a simulator."""
        with self.lock:
            self.program.forget_motion()
            self.arm.place(q)

    def _take_script(self, text: str) -> tuple[str, str]:
        script = text.rstrip("\n")
        if script.startswith(("def ", "sec ")) and not script.endswith("\nend"):
            return text, ""
        with self.lock:
            if not self.safety.remote and self.version[0] >= 5:
                _LOG.warning("script refused: the robot is not in remote control")
            elif not self.safety.may_move:
                _LOG.warning("script refused: robot mode %s", self.safety.robot_mode.name)
            else:
                self.program.load(text)
        return "", ""

    # what goes wrong, and its way out

    def fail(self, error: MotionError) -> None:
        """A program or motion cannot go on."""
        if error.protective:
            self.protective_stop(str(error))
        else:
            self.program.stop(str(error))

    def protective_stop(self, reason: str = "asked for") -> None:
        """The arm brakes and stays; the program ends."""
        self.stop(SafetyMode.PROTECTIVE_STOP, reason)

    def emergency_stop(self) -> None:
        """The red button: the arm brakes and loses its power; the program ends."""
        self.stop(SafetyMode.ROBOT_EMERGENCY_STOP, "the emergency-stop button is pressed")

    def safeguard_stop(self) -> None:
        """A light curtain or door: the arm brakes; the program ends."""
        self.stop(SafetyMode.SAFEGUARD_STOP, "the safeguard is open")

    def stop(self, mode: SafetyMode, reason: str) -> None:
        """Any stop: the arm brakes; the program ends."""
        with self.lock:
            _LOG.warning("%s: %s", mode.name, reason)
            self.arm.brake()
            self.program.stop(reason)
            self.safety.stop(mode, reason)

    def power_off(self) -> None:
        """Take the power away; the program ends."""
        with self.lock:
            self.program.stop("power off")
            self.safety.power(False)

    def set_remote(self, on: bool) -> None:
        """Remote or local control; a program that came over the network ends with remote control."""
        with self.lock:
            self.safety.remote = on
            if not on:
                self.program.stop("switched to local control")

    def drop_links(self) -> None:
        """End every connection, as a controller that restarts its network."""
        with self.lock:
            self.rtde.drop()
        for server in (self.dashboard, self.script, self.gripper.server):
            server.drop()

    def refuse_links(self, refuse: bool) -> None:
        """Whether new connections are closed at once."""
        with self.lock:
            self.rtde.refusing = refuse
        for server in (self.dashboard, self.script, self.gripper.server):
            server.refusing = refuse

    def pull_cable(self, pulled: bool) -> None:
        """RTDE goes silent in both directions while the connection looks alive, as with a cable that was pulled out."""
        with self.lock:
            self._cable = not pulled


class ControllerThread:
    """Lets a controller run in real time, in a thread of its own, until `close`."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._running = True
        self._thread = threading.Thread(target=self._run, name="ur controller", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop time and close the servers."""
        self._running = False
        self._thread.join(timeout=5.0)
        self.controller.close()

    def _run(self) -> None:
        due = time.monotonic()
        while self._running:
            self.controller.cycle()
            due += self.controller.period
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            elif left < -0.1:  # the machine was busy: this time is lost
                due = time.monotonic()
