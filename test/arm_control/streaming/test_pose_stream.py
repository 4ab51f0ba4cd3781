"""Poses streamed towards targets: within limits, never beyond, and to a stop when targets cease."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.drivers.streaming.servo import PoseStream, ServoLimits, check_target
from grasp_core import se3
from grasp_core.errors import ErrorCode, InputError, SeegraspError, StaleError

DT = 0.002
START = se3.make(np.diag([1.0, -1.0, -1.0]), [0.4, 0.0, 0.3])
LIMITS = ServoLimits(0.2, 1.0, 1.0, 4.0, np.array([0.0, -0.5, 0.0]), np.array([0.8, 0.5, 0.6]), 0.1, 0.001, 0.01)


def run(stream: PoseStream, seconds: float, target: np.ndarray | None = None) -> list[np.ndarray]:
    """Poses of every cycle; with a target it is sent anew all the time."""
    poses = []
    for i in range(round(seconds / DT)):
        if target is not None:
            stream.aim(target, i * DT)
        poses.append(stream.step(i * DT, DT).copy())
    return poses


@settings(max_examples=10, deadline=None)
@given(
    offset=st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3),
    turn=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
)
def test_it_arrives_within_its_limits_and_does_not_overshoot(offset: list[float], turn: list[float]) -> None:
    target = se3.make(se3.exp_so3(turn) @ START[:3, :3], START[:3, 3] + offset)
    stream = PoseStream(LIMITS, START)
    poses = run(stream, 4.0, target)
    assert stream.arrived
    points = np.array([START[:3, 3], *(p[:3, 3] for p in poses)])
    velocity = np.diff(points, axis=0) / DT
    assert np.linalg.norm(velocity, axis=1).max() <= LIMITS.speed + 1e-6
    assert np.linalg.norm(np.diff(velocity, axis=0), axis=1).max() <= LIMITS.acceleration * DT * 1.01 + 1e-9
    left = np.linalg.norm(points - target[:3, 3], axis=1)
    assert (np.diff(left) <= 1e-6).all(), "it moves away from its target"
    angles = [float(se3.rotation_angle(a[:3, :3], b[:3, :3])) / DT for a, b in pairwise([START, *poses])]
    assert max(angles) <= LIMITS.angular_speed + 1e-4


def test_without_new_targets_it_comes_to_rest_and_says_so() -> None:
    stream = PoseStream(LIMITS, START)
    far = se3.make(START[:3, :3], [0.7, 0.3, 0.3])
    run(stream, 0.5, far)
    assert not stream.still
    poses = [stream.step(0.5 + i * DT, DT).copy() for i in range(300)]
    assert isinstance(stream.failure, StaleError)
    assert "100 ms" in str(stream.failure) or "old" in str(stream.failure)
    assert stream.still
    np.testing.assert_allclose(poses[-1], poses[-2])
    assert np.linalg.norm(poses[-1][:3, 3] - far[:3, 3]) > 0.05


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (se3.make(START[:3, :3], [0.9, 0.0, 0.3]), ErrorCode.OUT_OF_LIMITS),
        (np.full((4, 4), np.nan), ErrorCode.BAD_INPUT),
        (se3.make(2 * np.eye(3), [0.4, 0.0, 0.3]), ErrorCode.BAD_INPUT),
    ],
)
def test_a_target_that_cannot_be_taken_ends_it(target: np.ndarray, code: ErrorCode) -> None:
    stream = PoseStream(LIMITS, START)
    run(stream, 0.3, se3.make(START[:3, :3], [0.6, 0.0, 0.3]))
    stream.aim(target, 0.3)
    for i in range(300):
        pose = stream.step(0.3 + i * DT, DT)
    assert stream.failure.code == code
    assert stream.still
    assert pose[0, 3] < 0.6


def test_before_its_first_target_it_stays() -> None:
    poses = run(PoseStream(LIMITS, START), 0.5)
    np.testing.assert_allclose(poses[-1], START)


def test_the_workspace_is_named_with_the_target() -> None:
    with pytest.raises(SeegraspError, match=r"\[0\.9, 0\.0, 0\.3\].*outside of the workspace"):
        check_target(se3.make(np.eye(3), [0.9, 0.0, 0.3]), LIMITS.low, LIMITS.high)
    with pytest.raises(InputError, match="servo target"):
        check_target(np.zeros((3, 3)), LIMITS.low, LIMITS.high)
