"""The dashboard server (29999): modes in words, and the buttons of the teach pendant.

Source of commands and answers: Universal Robots, "Dashboard server e-Series" and "CB-Series".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from grasp_sim.ur_controller.lines import TextServer, by_line

if TYPE_CHECKING:
    from grasp_sim.ur_controller.controller import Controller

PORT = 29999
GREETING = "Connected: Universal Robots Dashboard Server\n"
_REMOTE_ONLY = ("power on", "power off", "brake release", "unlock protective stop", "restart safety", "play", "stop")


class Dashboard:
    """Answers the dashboard's commands for one controller."""

    def __init__(self, controller: Controller, address: str, port: int = PORT) -> None:
        self._controller = controller
        self.server = TextServer(address, port, by_line(self._locked), GREETING)

    def _locked(self, line: str) -> str:
        with self._controller.lock:
            return self._answer(line)

    def _answer(self, line: str) -> str:
        c, command = self._controller, line.lower()
        if command in _REMOTE_ONLY and not c.safety.remote and c.version[0] >= 5:
            return "Command is not allowed due to safety reasons: the robot is not in remote control"
        if command in _COMMANDS:
            return _COMMANDS[command](c)
        if command.startswith(("popup", "addtolog", "setuserrole")):
            return "ok"
        if command.startswith("load "):
            return f"File not found: {line[5:]}"
        return f"could not understand: '{line}'"


def _act(action: Callable[[Controller], object], reply: str) -> Callable[[Controller], str]:
    def run(controller: Controller) -> str:
        action(controller)
        return reply

    return run


def _unlock(c: Controller) -> str:
    if c.safety.unlock():
        return "Protective stop releasing"
    return "Cannot unlock protective stop: there is none"


def _since_5_6(answer: Callable[[Controller], str]) -> Callable[[Controller], str]:
    def run(c: Controller) -> str:
        return answer(c) if c.version[:2] >= (5, 6) else "could not understand: it came with PolyScope 5.6"

    return run


_COMMANDS: dict[str, Callable[[Controller], str]] = {
    "polyscopeversion": lambda c: "URSoftware {}.{}.{}.{} (simulated)".format(*c.version),
    "version": lambda c: "{}.{}.{}.{}".format(*c.version),
    "get serial number": _since_5_6(lambda c: "20265500001"),
    "get robot model": lambda c: c.model.name,
    "is in remote control": _since_5_6(lambda c: "true" if c.safety.remote else "false"),
    "robotmode": lambda c: f"Robotmode: {c.safety.robot_mode.name}",
    "safetymode": lambda c: f"Safetymode: {c.safety.safety_mode.name}",
    "safetystatus": lambda c: f"Safetystatus: {c.safety.safety_mode.name}",
    "running": lambda c: f"Program running: {'true' if c.program.running else 'false'}",
    "programstate": lambda c: f"{'PLAYING' if c.program.running else 'STOPPED'} rtde_control",
    "get loaded program": lambda c: "No program loaded",
    "isprogramsaved": lambda c: "true",
    "play": lambda c: "Failed to execute: play",
    "pause": lambda c: "Failed to execute: pause",
    "stop": _act(lambda c: c.program.stop("stopped over the dashboard"), "Stopped"),
    "power on": _act(lambda c: c.safety.power(True), "Powering on"),
    "power off": _act(lambda c: c.power_off(), "Powering off"),
    "brake release": _act(lambda c: c.safety.release_brakes(), "Brake releasing"),
    "unlock protective stop": _unlock,
    "close safety popup": lambda c: "closing safety popup",
    "close popup": lambda c: "closing popup",
    "restart safety": lambda c: "Restarting safety",
    "quit": lambda c: "Disconnected",
    "shutdown": lambda c: "Shutting down",
}
