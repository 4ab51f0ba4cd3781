"""A stand-in for Flexiv's RDK with its published API (flexivrobotics/flexiv_rdk, v1.8 and v2.0) and a moving arm.

The file named by FLEXIV_FAKE, in JSON, makes things happen: `api` 1 or 2, `status`, `connected`, `silent`, `clears`
(whether faults clear), `object` (width in m that stops the fingers), `missing` (no such robot), `gripper`. What is
called is added to the same name with `.log`.
"""

import enum
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from arm_control.planning.kinematics import Kinematics
from grasp_core import se3
from grasp_core.arm import ArmProfile

PATH = Path(os.environ["FLEXIV_FAKE"])
DOF, STEP = 7, 1e-3


def wish(key: str, default: object = None) -> object:
    return json.loads(PATH.read_text()).get(key, default)


def log(*words: object) -> None:
    with PATH.with_suffix(".log").open("a") as file:
        file.write(" ".join(str(word) for word in words) + "\n")


class Mode(enum.Enum):
    UNKNOWN = 0
    IDLE = 1
    NRT_JOINT_POSITION = 6
    NRT_CARTESIAN_MOTION_FORCE = 10


OperationalStatus = enum.Enum(
    "OperationalStatus",
    "UNKNOWN READY BOOTING ESTOP_NOT_RELEASED NOT_ENABLED RELEASING_BRAKE MINOR_FAULT CRITICAL_FAULT "
    "IN_REDUCED_STATE IN_RECOVERY_STATE IN_MANUAL_MODE IN_AUTO_MODE",
    start=0,
)

if wish("api", 2) == 2:

    class JointGroup(enum.Enum):
        UNKNOWN = 0
        ARMS = 2

    @dataclass
    class NrtJointPositionCmd:
        q_d: list
        dq_d: list
        dq_max: list
        ddq_max: list

    @dataclass
    class NrtCartesianCmd:
        pose_d: list
        wrench_d: list
        twist_d: list
        max_linear_vel: float
        max_angular_vel: float
        max_linear_acc: float
        max_angular_acc: float


@dataclass
class RobotStates:
    timestamp: tuple
    q: list
    dtheta: list
    flange_pose: list
    tcp_pose: list


@dataclass
class RobotInfo:
    software_ver: str = "v3.11"
    dq_max: list = field(default_factory=lambda: [2.0] * DOF)


class Robot:
    def __init__(self, robot_sn: str) -> None:
        if wish("missing"):
            raise RuntimeError("[flexiv::rdk::Robot] Failed to find the robot")
        arm = ArmProfile.load("rizon4")
        self._kinematics = Kinematics(arm.urdf_path.read_text(), arm, np.eye(4))
        self._lock = threading.RLock()
        self._q, self._qd = np.array(arm.poses["home"]), np.zeros(DOF)
        self._target, self._limits = self._q.copy(), (np.full(DOF, 1.0), np.full(DOF, 1.0))
        self._time, self._mode = time.time(), Mode.IDLE
        log("Robot", robot_sn)

    def connected(self) -> bool:
        return bool(wish("connected", True))

    def info(self) -> RobotInfo:
        return RobotInfo()

    def mode(self) -> Mode:
        return self._mode if self.operational() else Mode.IDLE

    def operational_status(self) -> OperationalStatus:
        return OperationalStatus[wish("status", "READY")]

    def operational(self) -> bool:
        return self.operational_status() is OperationalStatus.READY

    def fault(self) -> bool:
        return "FAULT" in wish("status", "READY")

    def busy(self) -> bool:
        return bool(wish("busy", False))

    def ClearFault(self, timeout_sec: int = 30) -> bool:
        log("ClearFault")
        return self._become("NOT_ENABLED") if wish("clears", True) else False

    def Enable(self) -> None:
        log("Enable")
        if wish("status") == "ESTOP_NOT_RELEASED":
            raise RuntimeError("[flexiv::rdk::Robot] E-stop is not released")
        self._become("READY")

    def Stop(self) -> None:
        self._mode = Mode.IDLE

    def SwitchMode(self, mode: Mode) -> None:
        if not self.operational():
            raise RuntimeError("[flexiv::rdk::Robot] Robot is not operational")
        log("SwitchMode", mode.name)
        self._advance()
        self._mode, self._target = mode, self._q.copy()

    def states(self) -> object:
        self._advance()
        T = self._kinematics.fk(self._q)
        stamp = (int(self._time), int(self._time % 1.0 * 1e9))
        tool = se3.make(np.eye(3), [0.0, 0.0, 0.1])
        states = RobotStates(stamp, self._q.tolist(), self._qd.tolist(), _pose(T), _pose(T @ tool))
        return states if wish("api", 2) == 1 else {JointGroup.ARMS: states}

    def SendJointPosition(self, *args: object) -> None:
        if wish("api", 2) == 1:
            q, qd, velocity, acceleration = args
        else:
            command = args[0][JointGroup.ARMS]
            q, qd, velocity, acceleration = command.q_d, command.dq_d, command.dq_max, command.ddq_max
        self._require(Mode.NRT_JOINT_POSITION)
        if any(len(v) != DOF for v in (q, qd, velocity, acceleration)) or min(*velocity, *acceleration) <= 0:
            raise ValueError("[flexiv::rdk::Robot] bad joint command")
        if any(qd):
            raise ValueError("the arm would not stop by itself")
        self._advance()
        self._target, self._limits = np.array(q), (np.array(velocity), np.array(acceleration))

    def SendCartesianMotionForce(self, *args: object) -> None:
        pose = args[0] if wish("api", 2) == 1 else args[0][JointGroup.ARMS].pose_d
        self._require(Mode.NRT_CARTESIAN_MOTION_FORCE)
        self._advance()
        wanted = se3.make(se3.matrix_from_quat([*pose[4:], pose[3]]), pose[:3]) @ se3.make(np.eye(3), [0.0, 0.0, -0.1])
        now = self._kinematics.fk(self._q)
        twist = np.concatenate([wanted[:3, 3] - now[:3, 3], se3.log_so3(wanted[:3, :3] @ now[:3, :3].T)])
        self._target = self._q + np.linalg.pinv(self._kinematics.jacobian(self._q)) @ twist
        self._limits = (np.full(DOF, 2.0), np.full(DOF, 20.0))

    def _require(self, mode: Mode) -> None:
        if self._mode is not mode:
            raise RuntimeError("[flexiv::rdk::Robot] wrong control mode")
        if not self.operational():
            raise RuntimeError("[flexiv::rdk::Robot] Robot is not operational")

    def _become(self, status: str) -> bool:
        new = PATH.with_suffix(".become")
        new.write_text(json.dumps({**json.loads(PATH.read_text()), "status": status}))
        new.replace(PATH)
        return True

    def _advance(self) -> None:
        """Towards the target with the limits of the last command, and at rest there."""
        with self._lock:
            if wish("silent") or not self.connected():
                return
            if not self.operational():
                self._mode, self._target = Mode.IDLE, self._q.copy()
            for _ in range(min(int((time.time() - self._time) / STEP), 500)):
                velocity, acceleration = self._limits
                error = self._target - self._q
                wanted = np.sign(error) * np.minimum(velocity, np.sqrt(2 * acceleration * np.abs(error)))
                wanted = np.clip(wanted, -np.abs(error) / STEP, np.abs(error) / STEP)
                self._qd += np.clip(wanted - self._qd, -acceleration * STEP, acceleration * STEP)
                self._q = self._q + self._qd * STEP
            self._time = max(self._time + STEP, time.time())


def _pose(T: np.ndarray) -> list:
    x, y, z, w = se3.quat_from_matrix(T[:3, :3]).tolist()
    return [*T[:3, 3].tolist(), w, x, y, z]


@dataclass
class GripperParams:
    name: str = ""
    min_width: float = 0.0
    max_width: float = 0.1
    min_vel: float = 0.01
    max_vel: float = 0.2
    min_force: float = 5.0
    max_force: float = 80.0


@dataclass
class GripperStates:
    width: float
    force: float
    is_moving: bool


class Gripper:
    def __init__(self, robot: Robot) -> None:
        self._params, self._width, self._target, self._speed = GripperParams(), 0.1, 0.1, 0.1
        self._time = time.monotonic()

    def Enable(self, name: str) -> None:
        if name != wish("gripper", "Flexiv-GN01"):
            raise ValueError(f"[flexiv::rdk::Gripper] gripper {name} does not exist")
        self._params.name = name

    def Init(self) -> None:
        log("Init")

    def Move(self, width: float, velocity: float, force_limit: float) -> None:
        log("Move", round(width, 4), round(velocity, 4), round(force_limit, 4))
        self._target, self._speed = width, velocity

    def Stop(self) -> None:
        self._target = self.states().width

    def params(self) -> GripperParams:
        return self._params

    def states(self) -> GripperStates:
        now = time.monotonic()
        target = max(self._target, wish("object", 0.0))
        step = float(np.clip(target - self._width, -self._speed * (now - self._time), self._speed * (now - self._time)))
        self._width, self._time = self._width + step, now
        return GripperStates(self._width, 0.0, abs(target - self._width) > 1e-6)
