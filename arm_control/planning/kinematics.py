"""Kinematics of one arm from a URDF text: the chain from the base frame to the flange, everything else left out.

The text comes from `/robot_description` and may carry a gripper, meshes that do not resolve, mimic joints and other
arms; only the links and joints between the two frames are read. Computation is Pinocchio's.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pinocchio as pin

from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError, ErrorCode, PlanningError

TWO_PI = 2.0 * np.pi
LIMIT_SLACK = 1e-4  # rad: joint states may lie this far outside a limit by rounding


def chain_urdf(urdf: str, base: str, flange: str) -> str:
    """A URDF with only the chain from link `base` to link `flange`, without geometry; ConfigError if there is none.

    Continuous joints become revolute ones of +-2 pi, since a plan needs finite limits.
    """
    try:
        root = ET.fromstring(urdf)
    except ET.ParseError as error:
        raise ConfigError(f"robot description: not XML ({error}); expected a URDF text") from error
    links = {link.get("name"): link for link in root.findall("link")}
    for name in (base, flange):
        if name not in links:
            raise ConfigError(
                f"robot description: no link '{name}'; check base_frame and flange_frame of the arm profile"
            )
    by_child = {joint.find("child").get("link"): joint for joint in root.findall("joint")}
    out = ET.Element("robot", name=root.get("name", "arm"))
    ET.SubElement(out, "link", name=base)
    joints, link = [], flange
    while link != base:
        joint = by_child.pop(link, None)
        if joint is None:
            raise ConfigError(
                f"robot description: link '{flange}' does not hang below '{base}' (chain ends at '{link}')"
            )
        joints.append(joint)
        link = joint.find("parent").get("link")
    for joint in reversed(joints):
        for element in joint.findall("mimic"):
            joint.remove(element)
        if joint.get("type") == "continuous":
            joint.set("type", "revolute")
            limit = joint.find("limit")
            limit = ET.SubElement(joint, "limit", velocity="100", effort="1000") if limit is None else limit
            limit.attrib.update(lower=str(-TWO_PI), upper=str(TWO_PI))
        ET.SubElement(out, "link", name=joint.find("child").get("link"))
        out.append(joint)
    return ET.tostring(out, encoding="unicode")


class Kinematics:
    """Forward kinematics, Jacobians and limits of one arm; the tool is the grasp frame.

    Attributes: `model` (pinocchio), `names`, `dof`, `lower`, `upper` (dof,) rad: limits of the URDF; `window_lower`,
    `window_upper`: the part of them within half a turn of the home pose, where inverse kinematics looks (no winding of
    the cables); `max_velocity`, `max_acceleration`: the profile's, below the URDF's velocity limits.
    """

    def __init__(self, urdf: str, arm: ArmProfile, T_flange_tcp: np.ndarray) -> None:
        self.model = pin.buildModelFromXML(chain_urdf(urdf, arm.base_frame, arm.flange_frame))
        self.names = tuple(self.model.names[1:])
        if self.names != tuple(arm.joints):
            raise ConfigError(
                f"arm profile {arm.name}: joints {list(arm.joints)} are not those of the robot description between "
                f"'{arm.base_frame}' and '{arm.flange_frame}': {list(self.names)}"
            )
        self.data = self.model.createData()
        self.dof = len(self.names)
        self.flange_id = self.model.getFrameId(arm.flange_frame)
        self.T_flange_tcp = np.asarray(T_flange_tcp, float)
        self.tcp_id = self._add_tcp()
        self.data = self.model.createData()
        low, high = arm.position_limits_array()
        self.lower = np.maximum(self.model.lowerPositionLimit, low)
        self.upper = np.minimum(self.model.upperPositionLimit, high)
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all() and (self.lower < self.upper).all()):
            raise ConfigError(f"robot description: joint limits missing or empty: {self.lower} .. {self.upper}")
        home = np.array(arm.poses.get("home", (self.lower + self.upper) / 2))
        self.home = home
        self.window_lower = np.maximum(self.lower, home - np.pi)
        self.window_upper = np.minimum(self.upper, home + np.pi)
        limits = self.model.upperVelocityLimit
        self.max_velocity = np.minimum(np.array(arm.max_velocity), np.where(limits > 0, limits, np.inf))
        self.max_acceleration = np.array(arm.max_acceleration)
        self.reach = self._reach()

    def _add_tcp(self) -> int:
        flange = self.model.frames[self.flange_id]
        placement = flange.placement * pin.SE3(self.T_flange_tcp)
        return self.model.addFrame(pin.Frame("tcp", flange.parentJoint, self.flange_id, placement, pin.OP_FRAME))

    def _reach(self) -> np.ndarray:
        """(dof,) m: how far the arm's far end can be from each axis, plus 0.1 m for the tool's body."""
        lengths = [np.linalg.norm(self.model.jointPlacements[i + 1].translation) for i in range(1, self.dof)]
        last = self.model.frames[self.tcp_id].placement.translation
        lengths.append(np.linalg.norm(last))
        return np.cumsum(lengths[::-1])[::-1] + 0.1

    def fk(self, q: np.ndarray) -> np.ndarray:
        """Pose of the grasp frame in the base frame, 4x4."""
        pin.forwardKinematics(self.model, self.data, q)
        return pin.updateFramePlacement(self.model, self.data, self.tcp_id).homogeneous

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """(6, dof): linear (m/s), then angular (rad/s) velocity of the grasp frame in base axes."""
        return pin.computeFrameJacobian(self.model, self.data, q, self.tcp_id, pin.LOCAL_WORLD_ALIGNED)

    def tcp_positions(self, q: np.ndarray) -> np.ndarray:
        """Positions (N, 3) m of the grasp frame's origin at joints (N, dof)."""
        return np.array([self.fk(x)[:3, 3] for x in q])

    def check_joints(self, q: np.ndarray, what: str) -> np.ndarray:
        """`q` as a float array within the limits; PlanningError INVALID_GOAL or OUT_OF_LIMITS otherwise."""
        try:
            q = np.array(q, float)
        except (TypeError, ValueError) as error:
            raise PlanningError(f"{what}: not numbers ({error})", ErrorCode.INVALID_GOAL) from error
        if q.shape != (self.dof,):
            raise PlanningError(f"{what}: shape {q.shape}, expected ({self.dof},)", ErrorCode.INVALID_GOAL)
        if not np.isfinite(q).all():
            raise PlanningError(f"{what}: not finite: {q}", ErrorCode.INVALID_GOAL)
        out = (q < self.lower - LIMIT_SLACK) | (q > self.upper + LIMIT_SLACK)
        if out.any():
            i = int(np.argmax(out))
            raise PlanningError(
                f"{what}: {self.names[i]} = {q[i]:.3f} rad is outside {self.lower[i]:.3f} .. {self.upper[i]:.3f}",
                ErrorCode.OUT_OF_LIMITS,
            )
        return q


def check_pose(T: np.ndarray, what: str) -> np.ndarray:
    """`T` as a rigid 4x4 float64 transform, its rotation made exactly orthonormal; PlanningError INVALID_GOAL."""
    try:
        T = np.array(T, float)
    except (TypeError, ValueError) as error:
        raise PlanningError(f"{what}: not numbers ({error})", ErrorCode.INVALID_GOAL) from error
    if T.shape != (4, 4):
        raise PlanningError(f"{what}: shape {T.shape}, expected (4, 4)", ErrorCode.INVALID_GOAL)
    if not np.isfinite(T).all():
        raise PlanningError(f"{what}: not finite", ErrorCode.INVALID_GOAL)
    R = T[:3, :3]
    off = np.abs(R.T @ R - np.eye(3)).max()
    if off > 1e-3 or np.linalg.det(R) < 0 or np.abs(T[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise PlanningError(f"{what}: not a rigid transform (R^T R is off by {off:.2g})", ErrorCode.INVALID_GOAL)
    u, _, vt = np.linalg.svd(R)
    T[:3, :3] = u @ vt
    return T
