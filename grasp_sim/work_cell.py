"""The simulated work cell: arm, gripper, cameras, bin, tray and objects, advanced step by step. No ROS in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, InputError, SeegraspError
from grasp_core.follower import TrajectoryFollower
from grasp_core.gripper import Gripper
from grasp_sim.arm_controller import JointServo
from grasp_sim.calibration_board import BoardPlace
from grasp_sim.cell_model import build_cell_model
from grasp_sim.contacts import ContactBook
from grasp_sim.gripper_controller import GripperServo
from grasp_sim.objects import ObjectSpec
from grasp_sim.robot_model import PALM
from grasp_sim.surroundings import TIME_STEP

HOME = "home"
_DIVERGED = [
    getattr(mujoco.mjtWarning, f"mjWARN_{name}").value for name in ("BADQPOS", "BADQVEL", "BADQACC", "BADCTRL")
]


@dataclass(frozen=True)
class Snapshot:
    """All that a picture needs: simulated time in s and the positions of all joints."""

    time: float
    qpos: np.ndarray


class WorkCell:
    """One scene with the robot in it.

    The arm starts at its profile's ``home`` with the gripper open. ``arm`` follows trajectories, ``gripper`` takes
    commands; ``step`` advances both and the physics. Not thread-safe: the caller holds a lock.
    """

    def __init__(
        self,
        cell: Cell,
        arm: ArmProfile,
        gripper: Gripper,
        objects: Sequence[ObjectSpec] = (),
        poses: np.ndarray | None = None,
        with_bin: bool = True,
        board: BoardPlace | None = None,
    ) -> None:
        """``poses`` (N, 4, 4): where the objects stand, in the base frame. Raises ConfigError, InputError."""
        count = 0 if poses is None else len(poses)
        if count != len(objects):
            raise InputError(f"a work cell needs one pose per object, got {count} for {len(objects)}")
        if HOME not in arm.poses:
            raise ConfigError(f"arm profile {arm.name}: poses has no '{HOME}', which the simulator starts from")
        self.cell, self.arm_profile, self.gripper_profile = cell, arm, gripper
        self.cell_model = build_cell_model(cell, arm, gripper, objects, poses, with_bin, board)
        self.model = self.cell_model.model
        self.data = mujoco.MjData(self.model)
        self.objects = {obj.name: obj for obj in objects}
        home = np.array(arm.poses[HOME])
        self.arm = TrajectoryFollower(home, arm.joints, np.array(arm.max_acceleration))
        self.gripper = GripperServo(self.cell_model, gripper)
        self.contacts = ContactBook(self.cell_model)
        self._servo = JointServo(self.cell_model)
        self.place_arm(home)

    @property
    def time(self) -> float:
        """Simulated seconds since this scene was built."""
        return float(self.data.time)

    @property
    def q(self) -> np.ndarray:
        """(dof,) joint positions, rad."""
        return self.data.qpos[self.cell_model.arm_qpos]

    @property
    def qd(self) -> np.ndarray:
        """(dof,) joint velocities, rad/s."""
        return self.data.qvel[self.cell_model.arm_dof]

    @property
    def torque(self) -> np.ndarray:
        """(dof,) motor torques, N m."""
        return self.data.ctrl[self.cell_model.arm_motor]

    @property
    def width(self) -> float:
        """Opening between the pads, m."""
        return self.gripper.width(self.data)

    def place_arm(self, q: np.ndarray) -> None:
        """Put the arm at ``q`` (dof,) and open the gripper, at once."""
        model = self.cell_model
        self.data.qpos[model.arm_qpos] = q
        self.data.qvel[model.arm_dof] = 0.0
        self.data.qpos[model.finger_qpos] = self.gripper_profile.max_width / 2
        self.data.qvel[model.finger_dof] = 0.0
        self.arm.reset(np.asarray(q, dtype=np.float64))
        self._servo.reset()
        mujoco.mj_forward(self.model, self.data)

    def step(self, count: int = 1) -> None:
        """Advance by ``count`` steps of ``TIME_STEP`` s; SeegraspError when the physics diverge."""
        model, data = self.model, self.data
        for _ in range(count):
            # After step1 the kinematics and dynamics in data belong to the present state.
            mujoco.mj_step1(model, data)
            self._servo.update(data, self.arm.update(data.time, self.q, self.qd))
            self.gripper.update(data)
            mujoco.mj_step2(model, data)
            self.contacts.update(data, self.arm.moving)
        if any(data.warning[kind].number for kind in _DIVERGED):
            raise SeegraspError(f"the simulated physics diverged after {data.time:.3f} s: start again")

    def run(self, seconds: float) -> None:
        """Advance by simulated seconds."""
        self.step(round(seconds / TIME_STEP))

    def refresh(self) -> None:
        """Bring all poses up to date with the joint positions (after ``step`` they are one step behind)."""
        mujoco.mj_kinematics(self.model, self.data)

    def body_pose(self, body: int) -> np.ndarray:
        """Pose of a body in the base frame, 4x4."""
        return se3.make(self.data.xmat[body].reshape(3, 3), self.data.xpos[body])

    def object_poses(self) -> dict[str, np.ndarray]:
        """Name -> pose (4, 4) of every object in the base frame."""
        return {name: self.body_pose(body) for name, body in self.cell_model.objects.items()}

    def frames(self, static: bool = False) -> list[tuple[str, str, np.ndarray]]:
        """(parent, child, T_parent_child) of the arm's moving links, or of its fixed frames."""
        model = self.cell_model
        rows = model.static_frames if static else model.moving_frames
        return [(p, c, se3.inverse(self.body_pose(pi)) @ self.body_pose(ci)) for p, c, pi, ci in rows]

    def T_base_tcp(self) -> np.ndarray:
        """Pose of the grasp frame in the base frame, 4x4."""
        # the palm's body frame is the grasp frame
        return self.body_pose(self.model.body(PALM).id)

    def held_objects(self) -> list[str]:
        """Names of the objects that touch both fingers."""
        held = self.contacts.held(self.data)
        return [name for name, body in self.cell_model.objects.items() if body in held]

    def snapshot(self) -> Snapshot:
        """What a picture of the present state needs."""
        return Snapshot(self.time, self.data.qpos.copy())
