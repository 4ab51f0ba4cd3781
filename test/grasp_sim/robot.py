"""Helpers of the work cell's tests: a cell with given objects, simple motions and a scripted grasp."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.optimize import least_squares

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.follower import Goal, Outcome, Tolerances
from grasp_core.gripper import Gripper
from grasp_core.trajectory import Spline
from grasp_sim.gripper_controller import GripperCommand
from grasp_sim.objects import ObjectSpec, Part
from grasp_sim.robot_model import PALM
from grasp_sim.work_cell import WorkCell

ABOVE_BIN = np.array([-0.2, -1.5, 1.6, -1.6, -1.57, 0.0])


def make_object(name: str, parts: tuple[Part, ...], mass: float = 0.2, friction: float = 0.5) -> ObjectSpec:
    """An object of given parts."""
    return ObjectSpec(name, name, parts, mass, friction, (0.8, 0.3, 0.2, 1.0), 0.04)


def box(size: tuple[float, float, float], name: str = "box", mass: float = 0.2) -> ObjectSpec:
    """A box of full size (3,) m."""
    return make_object(name, (Part("box", tuple(s / 2 for s in size)),), mass)


def cell_with(*objects: ObjectSpec, at: tuple[float, float] = (0.5, 0.0)) -> WorkCell:
    """The shipped cell with objects standing on the bin's floor, 10 cm apart along x; settled for a moment."""
    cell = Cell.load("bin_picking")
    floor = cell.support_height()
    poses = [
        se3.make(np.eye(3), [at[0] + 0.1 * i, at[1], floor + obj.extents[2] / 2 + 0.0005])
        for i, obj in enumerate(objects)
    ]
    stacked = np.stack(poses) if poses else None
    work_cell = WorkCell(cell, ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85"), objects, stacked)
    work_cell.run(0.4)
    return work_cell


def quintic(start: np.ndarray, end: np.ndarray, duration: float, points: int = 40) -> Spline:
    """A smooth motion from rest to rest."""
    times = np.linspace(0.0, duration, points)
    u = (times / duration)[:, None]
    way = end - start
    return Spline(
        times,
        start + (10 * u**3 - 15 * u**4 + 6 * u**5) * way,
        (30 * u**2 - 60 * u**3 + 30 * u**4) / duration * way,
        (60 * u - 180 * u**2 + 120 * u**3) / duration**2 * way,
    )


def tolerances(path: float = 0.2, goal: float = 0.01) -> Tolerances:
    """The same for all six joints, rad; goal velocity 0.05 rad/s, 1 s of patience."""
    return Tolerances(np.full(6, path), np.full(6, np.inf), np.full(6, goal), np.full(6, 0.05), 1.0)


def move(cell: WorkCell, q: np.ndarray, duration: float = 1.0) -> tuple[Outcome, float]:
    """Drive to ``q``; returns the outcome and the largest tracking error in rad."""
    goal = Goal(quintic(cell.arm.setpoint.q, np.asarray(q, float), duration), cell.time, tolerances())
    cell.arm.follow(goal)
    worst = 0.0
    while goal.outcome is None:
        want = goal.spline.sample(cell.time - goal.start)
        worst = max(worst, float(np.abs(cell.q - want.q).max()))
        cell.step()
    return goal.outcome, worst


def grip(cell: WorkCell, width: float, force: float | None = None) -> GripperCommand:
    """Command the gripper and wait until it has ended."""
    command = cell.gripper.move(width, force)
    for _ in range(3000):
        if command.done:
            break
        cell.step()
    assert command.done, f"the gripper did not come to rest at {cell.width * 1e3:.1f} mm"
    return command


def inverse_kinematics(cell: WorkCell, T_base_tcp: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Joint positions (6,) that put the grasp frame at a pose, near ``seed``."""
    data, body = mujoco.MjData(cell.model), cell.model.body(PALM).id

    def residual(q: np.ndarray) -> np.ndarray:
        data.qpos[cell.cell_model.arm_qpos] = q
        mujoco.mj_kinematics(cell.model, data)
        turn = se3.log_so3(data.xmat[body].reshape(3, 3).T @ T_base_tcp[:3, :3])
        return np.concatenate([data.xpos[body] - T_base_tcp[:3, 3], 0.3 * turn])

    solution = least_squares(residual, seed, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert np.abs(solution.fun).max() < 1e-5, f"no joint positions for {T_base_tcp[:3, 3]}"
    return solution.x


def top_down(x: float, y: float, z: float, closing: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Grasp frame at a point, approaching straight down, closing along a horizontal direction."""
    closing_axis = np.array([*closing, 0.0]) / np.hypot(*closing)
    down = np.array([0.0, 0.0, -1.0])
    return se3.make(np.stack([closing_axis, np.cross(down, closing_axis), down], axis=1), [x, y, z])


def pick(cell: WorkCell, T_grasp: np.ndarray, force: float | None = None) -> GripperCommand:
    """Go above, down, close, and lift by 12 cm."""
    above = T_grasp.copy()
    above[2, 3] += 0.12
    q_above = inverse_kinematics(cell, above, ABOVE_BIN)
    q_grasp = inverse_kinematics(cell, T_grasp, q_above)
    move(cell, q_above, 1.0)
    move(cell, q_grasp, 0.8)
    command = grip(cell, 0.0, force)
    move(cell, q_above, 0.8)
    return command


def shake(cell: WorkCell) -> None:
    """Swing to and fro and stop hard, twice."""
    here = cell.arm.setpoint.q.copy()
    for _ in range(2):
        move(cell, here + np.array([0.25, 0.0, 0.0, 0.2, 0.0, 0.5]), 0.4)
        move(cell, here, 0.4)
