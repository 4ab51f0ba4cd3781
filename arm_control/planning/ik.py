"""Inverse kinematics: closed form for six-axis arms of the UR family, verified and polished; damped least squares else.

The closed form needs axes 2, 3, 4 parallel, axis 1 square to them, and axes 5, 6 intersecting. It is derived from the
screw axes of the URDF at zero, not from tables, so a calibrated description works too: its small deviations are removed
by Newton steps on the true model. Derivation: with w = axis 2, the coordinate along w of the point where axes 5 and 6
meet does not depend on joints 2-6, which gives joint 1; the component along w of axis 6 gives joint 5; the direction
of w in the tool gives joint 6; joints 2-4 remain as a planar arm.
"""

from __future__ import annotations

import numpy as np
import pinocchio as pin

from arm_control.planning.kinematics import TWO_PI, Kinematics

POSITION_TOLERANCE = 1e-5  # m
ROTATION_TOLERANCE = 1e-4  # rad
STRUCTURE_TOLERANCE = 0.02  # rad or m: how far an arm may be from the ideal structure and still be polished


def _rotate(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) about a fixed unit `axis` (3,) by `angle` (...)."""
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    s, c = np.sin(angle)[..., None, None], np.cos(angle)[..., None, None]
    return np.eye(3) + s * k + (1 - c) * (k @ k)


def _angle_about(axis: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle (...) about `axis` that takes `a` to `b` (..., 3), both projected on the plane square to it."""
    a = a - (a @ axis)[..., None] * axis
    b = b - (b @ axis)[..., None] * axis
    return np.arctan2(np.cross(a, b) @ axis, (a * b).sum(-1))


def _angles_to_height(axis: np.ndarray, v: np.ndarray, along: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Both angles (..., 2) such that `along` . Rot(axis, angle) v = height; NaN where there is none."""
    a = v @ along - (v @ axis) * (axis @ along)
    b = np.cross(axis, v) @ along
    c = height - (v @ axis) * (axis @ along)
    r = np.hypot(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = c / r
        ratio = np.where(np.abs(ratio) > 1, np.where(np.abs(ratio) < 1 + 1e-9, np.sign(ratio), np.nan), ratio)
        d = np.arccos(ratio)
    base = np.arctan2(b, a)
    return np.stack([base + d, base - d], -1)


class ClosedFormIK:
    """Up to eight solutions for each pose, batched. `supported` says whether the arm has the structure."""

    def __init__(self, kin: Kinematics) -> None:
        self.kin = kin
        self.supported = kin.dof == 6 and self._read_axes()

    def _read_axes(self) -> bool:
        model, data = self.kin.model, self.kin.model.createData()
        zero = np.zeros(6)
        self.R_zero = self.kin.fk(zero)[:3, :3]
        self.t_zero = self.kin.fk(zero)[:3, 3].copy()
        pin.forwardKinematics(model, data, zero)
        jacobian = pin.computeJointJacobians(model, data, zero)
        self.axes = jacobian[3:].T / np.linalg.norm(jacobian[3:].T, axis=1, keepdims=True)
        self.points = np.array([data.oMi[i + 1].translation for i in range(6)])
        w = self.axes[1]
        parallel = max(np.linalg.norm(np.cross(w, self.axes[i])) for i in (2, 3))
        square = abs(w @ self.axes[0])
        if parallel > STRUCTURE_TOLERANCE or square > STRUCTURE_TOLERANCE:
            return False
        self.signs = np.sign(self.axes @ w)
        return self._find_wrist()

    def _find_wrist(self) -> bool:
        """The point where axes 5 and 6 meet: the middle of their common normal."""
        a, b, p, r = self.axes[4], self.axes[5], self.points[4], self.points[5]
        n = np.cross(a, b)
        if np.linalg.norm(n) < 0.5:
            return False
        s, t, gap = np.linalg.solve(np.stack([a, -b, n], 1), r - p)
        self.wrist = (p + s * a + r + t * b) / 2
        return abs(gap) < STRUCTURE_TOLERANCE

    def solve(self, T: np.ndarray, q6_free: float = 0.0) -> np.ndarray:
        """Solutions (B, 8, 6) rad in (-pi, pi] for poses (B, 4, 4) of the grasp frame; NaN rows where there is none.

        At the wrist singularity (axis 6 parallel to axis 2) joint 6 is free and set to `q6_free`.
        """
        a1, a5, a6, w = self.axes[0], self.axes[4], self.axes[5], self.axes[1]
        p1, p2, p3, p4 = self.points[:4]
        # rotation and translation of the whole motion from the zero pose: x -> S x + u
        S = T[:, :3, :3] @ self.R_zero.T
        u = T[:, :3, 3] - S @ self.t_zero
        wrist = S @ self.wrist + u  # where the wrist point has to go
        q1 = _angles_to_height(-a1, wrist - p1, w, np.full(len(T), (self.wrist - p1) @ w))  # (B, 2)
        R1t = _rotate(-a1, q1)  # (B, 2, 3, 3)
        S1 = R1t @ S[:, None]
        u1 = (R1t @ (u[:, None] - p1)[..., None])[..., 0] + p1
        q5 = _angles_to_height(a5, a6, w, (S1 @ a6) @ w)  # (B, 2, 2)
        R5 = _rotate(a5, q5)
        S1, u1 = np.broadcast_to(S1[:, :, None], R5.shape), np.broadcast_to(u1[:, :, None], R5.shape[:-1])
        before = np.swapaxes(R5, -1, -2) @ w  # w seen from behind joint 5
        after = np.swapaxes(S1, -1, -2) @ w
        q6 = -_angle_about(a6, before, after)
        singular = np.linalg.norm(np.cross(before, a6), axis=-1) < 1e-6
        q6 = np.where(singular, q6_free, q6)
        # x -> R5 (x about the wrist) then R6: remaining motion is planar, about w
        R56 = R5 @ _rotate(a6, q6)
        planar = S1 @ np.swapaxes(R56, -1, -2)
        other = np.array([1.0, 0, 0]) if abs(w[0]) < 0.7 else np.array([0, 1.0, 0])
        phi = _angle_about(w, np.broadcast_to(other, planar.shape[:-1]), planar @ other)
        offset = self.wrist - (R56 @ self.wrist[:, None])[..., 0]
        elbow = (planar @ (p4 - offset)[..., None])[..., 0] + u1  # where the point on axis 4 has to go
        q2, q3 = self._planar(p2, p3, p4, w, elbow)  # (B, 2, 2, 2)
        q4 = phi[..., None] - q2 - q3
        q1 = np.broadcast_to(q1[:, :, None, None], q2.shape)
        q5, q6 = np.broadcast_to(q5[..., None], q2.shape), np.broadcast_to(q6[..., None], q2.shape)
        s = self.signs
        q = np.stack([q1, q2, q3 * s[2], q4 * s[3], q5, q6], -1).reshape(len(T), 8, 6)
        q = (q + np.pi) % TWO_PI - np.pi
        q[np.isnan(q).any(-1)] = np.nan
        return q

    @staticmethod
    def _planar(p2, p3, p4, w, target) -> tuple[np.ndarray, np.ndarray]:
        """Angles of joints 2 and 3 about w, each (..., 2), that take p4 to `target` (..., 3)."""

        def flat(v):
            return v - (v @ w)[..., None] * w

        a, b, d = flat(p3 - p2), flat(p4 - p3), flat(target - p2)
        la, lb, ld = np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(d, axis=-1)
        zero = np.arctan2(np.cross(a, b) @ w, a @ b)  # angle between the links at zero
        with np.errstate(invalid="ignore"):
            cosine = (ld**2 - la**2 - lb**2) / (2 * la * lb)
            cosine = np.where(np.abs(cosine) <= 1, cosine, np.where(np.abs(cosine) < 1 + 1e-6, np.sign(cosine), np.nan))
            bend = np.arccos(cosine)
        q3 = np.stack([bend - zero, -bend - zero], -1)
        tip = a + (_rotate(w, q3) @ b[:, None])[..., 0]
        q2 = _angle_about(w, tip, np.broadcast_to(d[..., None, :], tip.shape))
        return q2, q3


class InverseKinematics:
    """All joint solutions of a pose that respect the limits, exact on the true model."""

    def __init__(self, kin: Kinematics) -> None:
        self.kin = kin
        self.closed = ClosedFormIK(kin)
        self.exact = self.closed.supported and self._agrees()

    def _agrees(self) -> bool:
        """Whether the closed form lands within the tolerances, so that polishing is not needed."""
        q = np.random.default_rng(0).uniform(-2, 2, (20, self.kin.dof))
        T = np.array([self.kin.fk(x) for x in q])
        back = self.closed.solve(T)
        errors = [np.nanmin(np.abs((b - x + np.pi) % TWO_PI - np.pi).max(-1)) for b, x in zip(back, q, strict=True)]
        return max(errors) < 1e-6

    def candidates(self, T: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """Solutions (B, 8, dof) of poses (B, 4, 4) without regard to limits; NaN rows where there is none."""
        if not self.closed.supported:
            return np.stack([self._numeric(x, seed) for x in T])
        q = self.closed.solve(T, q6_free=float(seed[-1]))
        if self.exact:
            return q
        for b, k in zip(*np.nonzero(~np.isnan(q[..., 0])), strict=True):
            polished = self.refine(q[b, k], T[b])
            q[b, k] = np.nan if polished is None else polished
        return q

    def fold(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidates (..., dof) brought into the window around home by whole turns; (q, inside the limits?)."""
        k = self.kin
        q = k.window_lower + (q - k.window_lower) % TWO_PI
        with np.errstate(invalid="ignore"):
            inside = (q <= k.window_upper + 1e-9).all(-1)
        return q, inside

    def solve(self, T: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, int]:
        """Solutions (K, dof) within the limits, nearest to `seed` first, and how many there were before the limits."""
        q = self.candidates(T[None], seed)[0]
        q = q[~np.isnan(q[:, 0])]
        total = len(q)
        q, inside = self.fold(q)
        return self.order(q[inside], seed), total

    def order(self, q: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """Unique rows of `q` (K, dof), by the distance to `seed` that the far end travels."""
        cost = (np.abs(q - seed) * self.kin.reach).sum(-1)
        out: list[np.ndarray] = []
        for i in np.argsort(cost):
            if all(np.abs(q[i] - x).max() > 1e-4 for x in out):
                out.append(q[i])
        return np.array(out).reshape(-1, self.kin.dof)

    def _numeric(self, T: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """Damped least squares from eight fixed starts and the seed -> (8, dof), NaN where it did not converge."""
        k = self.kin
        rng = np.random.default_rng(0)
        starts = [seed, k.home, *rng.uniform(k.window_lower, k.window_upper, (14, k.dof))]
        found = [q for q in (self.refine(s, T, 60, 0.5) for s in starts) if q is not None][:8]
        out = np.full((8, k.dof), np.nan)
        out[: len(found)] = np.array(found).reshape(-1, k.dof)
        return out

    def refine(self, q: np.ndarray, T: np.ndarray, iterations: int = 8, max_step: float = 0.3) -> np.ndarray | None:
        """Newton steps (damped) from `q` to pose `T`; None if they do not converge to the tolerances."""
        q = np.array(q, float)
        goal = pin.SE3(T)
        for _ in range(iterations):
            pin.forwardKinematics(self.kin.model, self.kin.data, q)
            now = pin.updateFramePlacement(self.kin.model, self.kin.data, self.kin.tcp_id)
            error = pin.log6(now.actInv(goal)).vector
            if np.abs(error[:3]).max() < POSITION_TOLERANCE and np.abs(error[3:]).max() < ROTATION_TOLERANCE:
                return q
            J = pin.computeFrameJacobian(self.kin.model, self.kin.data, q, self.kin.tcp_id, pin.LOCAL)
            damping = 1e-6 + 0.01 * min(1.0, float(error @ error))
            step = J.T @ np.linalg.solve(J @ J.T + damping * np.eye(6), error)
            q += step * min(1.0, max_step / max(np.abs(step).max(), 1e-12))
        return None
