import json

import numpy as np
import pytest
from hypothesis import given

from grasp_core import conventions, se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from test.grasp_core.strategies import grasps, transforms


def equal(a: Grasps, b: Grasps, atol: float = 1e-6) -> None:
    for name in ("R", "t", "width", "depth", "score", "stability", "track_id"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=atol, err_msg=name)


@given(grasps())
def test_graspnet_round_trip(original):
    array = conventions.to_graspnet(original)
    back = conventions.from_graspnet(array)
    np.testing.assert_allclose(back.R, original.R, atol=1e-6)
    np.testing.assert_allclose(back.t, original.t, atol=1e-6)
    np.testing.assert_allclose(conventions.to_graspnet(back), array, atol=1e-6)


def test_graspnet_axes_by_hand():
    """A grasp straight down that closes along the base's y: GraspNet's x is down, its y is along y."""
    R = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]])  # columns x = +y, y = +x, z = down
    row = conventions.to_graspnet(Grasps.create(R[None], [[0.5, 0, 0.1]], np.array([0.05]), 0.02))[0]
    R_graspnet = row[4:13].reshape(3, 3)
    np.testing.assert_allclose(R_graspnet[:, 0], [0, 0, -1])
    np.testing.assert_allclose(R_graspnet[:, 1], [0, 1, 0])
    np.testing.assert_allclose(row[13:16], [0.5, 0, 0.12], atol=1e-7)  # the seed lies 2 cm above the tips


@given(grasps())
def test_vgn_and_graspgen_round_trips(original):
    vgn = conventions.from_vgn(conventions.to_vgn(original, 0.02), original.width, original.score, 0.02)
    np.testing.assert_allclose(vgn.R, original.R, atol=1e-6)
    np.testing.assert_allclose(vgn.t, original.t, atol=1e-6)
    gen = conventions.from_graspgen(conventions.to_graspgen(original, 0.195), 0.195, original.width, original.score)
    np.testing.assert_allclose(gen.R, original.R, atol=1e-6)
    np.testing.assert_allclose(gen.t, original.t, atol=1e-6)


@given(grasps())
def test_foreign_axes_are_those_of_their_projects(original):
    vgn, gen = conventions.to_vgn(original), conventions.to_graspgen(original, 0.1)
    np.testing.assert_allclose(vgn[:, :3, 1], original.R[:, :, 0], atol=1e-6)  # VGN closes along y
    np.testing.assert_allclose(vgn[:, :3, 2], original.R[:, :, 2], atol=1e-6)
    np.testing.assert_allclose(gen[:, :3, 3], original.t - 0.1 * original.R[:, :, 2], atol=1e-6)


def test_bad_foreign_arrays_are_refused():
    with pytest.raises(InputError, match=r"\(N, 17\)"):
        conventions.from_graspnet(np.zeros((3, 16)))
    with pytest.raises(InputError, match="row 0"):
        conventions.from_graspnet(np.zeros((3, 17)))
    with pytest.raises(InputError, match="VGN poses"):
        conventions.from_vgn(np.zeros((2, 4, 4)), np.zeros(2))


@given(grasps(), transforms)
def test_transforming_keeps_everything_but_the_pose(original, T):
    moved = original.transformed(T)
    np.testing.assert_allclose(moved.matrices(), T @ original.matrices(), atol=1e-5)
    equal(moved.transformed(se3.inverse(T)), original, atol=1e-5)


@given(grasps(40))
def test_nms_leaves_no_two_alike_and_drops_only_dominated_ones(original):
    kept = original.nms(0.2, np.deg2rad(60))
    T = kept.matrices()
    turned = T.copy()
    turned[:, :3, :2] *= -1

    def alike(i, j):
        near = np.linalg.norm(T[i, :3, 3] - T[j, :3, 3]) < 0.2
        angle = min(se3.rotation_angle(T[i, :3, :3], other[j, :3, :3]) for other in (T, turned))
        return near and angle < np.deg2rad(60)

    assert not any(alike(i, j) for i in range(len(kept)) for j in range(i))
    assert kept.score[0] == original.score.max()
    assert np.all(np.diff(kept.score) <= 0)


def test_nms_treats_swapped_fingers_as_the_same_grasp():
    R = np.stack([np.eye(3), np.diag([-1.0, -1, 1])])
    assert len(Grasps.create(R, np.zeros((2, 3)), np.array([0.04, 0.04]), score=np.array([0.5, 0.6])).nms()) == 1


@given(grasps())
def test_serialising_round_trip(original):
    equal(Grasps.from_dict(json.loads(json.dumps(original.to_dict()))), original)


def test_slicing_concatenating_and_sorting():
    part = Grasps.create(np.tile(np.eye(3), (4, 1, 1)), np.zeros((4, 3)), np.full(4, 0.05), score=np.arange(4) / 4)
    assert len(part[1]) == 1
    assert len(part[part.score > 0.3]) == 2
    assert len(part[:3]) == 3
    both = Grasps.concatenate([part, part.sorted()])
    assert both.score.tolist() == [0, 0.25, 0.5, 0.75, 0.75, 0.5, 0.25, 0]
    assert len(Grasps.empty()) == 0
    assert len(Grasps.concatenate([])) == 0
    assert len(Grasps.from_dict(Grasps.empty("x").to_dict())) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": [0.2]}, "width"),
        ({"width": [0.0]}, "width"),
        ({"score": [1.5]}, "score"),
        ({"t": [[np.nan, 0, 0]]}, "NaN"),
        ({"R": [2 * np.eye(3)]}, "not a rotation"),
    ],
)
def test_validate_names_the_fault(change, message):
    good = {"R": [np.eye(3)], "t": [[0, 0, 0]], "width": [0.05], "score": [0.5]}
    Grasps.create(**{k: np.array(v) for k, v in good.items()}).validate(0.085)
    with pytest.raises(InputError, match=message):
        Grasps.create(**{k: np.array(v) for k, v in (good | change).items()}).validate(0.085)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="R has shape"):
        Grasps.create(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(2))
